"""The table of cases."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from broker.storage.columns import moment


class CaseRow(SQLModel, table=True):
    """One matter of one agency. The reference is the agency's own number; the broker gives it no meaning."""

    __tablename__ = "case_file"

    id: str = Field(primary_key=True)
    agency: str = Field(index=True)
    reference: str
    title: str
    status: str
    opened_by: str
    opened_at: datetime = Field(sa_column=moment())
    closed_by: str | None
    closed_at: datetime | None = Field(sa_column=moment(nullable=True))
