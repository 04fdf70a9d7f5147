"""Tables of reviews."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from broker.storage.columns import moment


class ReviewRow(SQLModel, table=True):
    """One reviewer's session with a candidate list."""

    __tablename__ = "review"

    id: str = Field(primary_key=True)
    item_id: str = Field(foreign_key="item.id", index=True)
    reviewer: str
    component: str
    at: datetime = Field(sa_column=moment())


class DispositionRow(SQLModel, table=True):
    """What one reviewer made of one candidate. The first word stands: nobody revises it towards the other's."""

    __tablename__ = "review_disposition"

    item_id: str = Field(primary_key=True, foreign_key="item.id")
    candidate: str = Field(primary_key=True)
    reviewer: str = Field(primary_key=True)
    review_id: str = Field(foreign_key="review.id")
    disposition: str
    note: str | None


class ReviewStateRow(SQLModel, table=True):
    """Set when two different reviewers have each given every candidate of the list a disposition."""

    __tablename__ = "review_state"

    item_id: str = Field(primary_key=True, foreign_key="item.id")
    completed_at: datetime = Field(sa_column=moment())
    disagreements: int
