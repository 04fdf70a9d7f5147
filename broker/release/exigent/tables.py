"""Tables of exigent releases."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from broker.storage.columns import moment


class ExigentReleaseRow(SQLModel, table=True):
    """That a release was made in imminent danger, and until when its copy may be had without the owners' word."""

    __tablename__ = "exigent_release"

    release_id: str = Field(primary_key=True, foreign_key="release.id")
    danger: str
    until: datetime = Field(sa_column=moment())


class ExigentPartRow(SQLModel, table=True):
    """One owner whose permission was missing. Its answer is given once, under a row lock."""

    __tablename__ = "exigent_part"
    __table_args__ = (Index("exigent_part_by_owner", "owner", "release_id"),)

    release_id: str = Field(primary_key=True, foreign_key="exigent_release.release_id")
    owner: str = Field(primary_key=True)
    state: str
    read_at: datetime | None = Field(sa_column=moment(nullable=True))
    answered_by: str | None
    answered_at: datetime | None = Field(sa_column=moment(nullable=True))
    note: str | None
