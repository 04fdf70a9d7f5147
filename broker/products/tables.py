"""Tables of reviews, of owners' verifications, and of what became of leads."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from broker.storage.columns import moment, words


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
    reviewers: list[str] = Field(sa_column=words())
    disputed: list[str] = Field(sa_column=words())
    """The candidates on which the two disagreed. This stays as it is when a third has resolved it."""


class ResolutionRow(SQLModel, table=True):
    """A third reviewer has given every disputed candidate a disposition."""

    __tablename__ = "review_resolution"

    item_id: str = Field(primary_key=True, foreign_key="item.id")
    review_id: str = Field(foreign_key="review.id")
    reviewer: str
    resolved_at: datetime = Field(sa_column=moment())


class VerificationRequestRow(SQLModel, table=True):
    """Owners were asked whether something is right."""

    __tablename__ = "verification_request"
    __table_args__ = (Index("verification_request_by_component", "component", "id"),)

    id: str = Field(primary_key=True)
    item_id: str = Field(index=True)
    component: str
    requested_by: str
    at: datetime = Field(sa_column=moment())
    owners: list[str] = Field(sa_column=words())
    note: str


class VerificationRow(SQLModel, table=True):
    """What an owner said of exactly one item. The last word counts; those before it stay."""

    __tablename__ = "verification"
    __table_args__ = (Index("verification_by_item", "item_id", "owner", "at"),)

    id: str = Field(primary_key=True)
    item_id: str
    owner: str
    outcome: str
    note: str | None
    answered_by: str
    at: datetime = Field(sa_column=moment())


class DoubtRow(SQLModel, table=True):
    """An item that an owner did not confirm, or that is made of one. A decision looks here by the item."""

    __tablename__ = "verification_doubt"
    __table_args__ = (Index("verification_doubt_standing", "item_id", postgresql_where=text("standing")),)

    origin_id: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    item_id: str = Field(primary_key=True)
    standing: bool


class ActionRow(SQLModel, table=True):
    """That something was done on the strength of a lead, counted; what it was is the content of the item `item_id`."""

    __tablename__ = "action_record"

    item_id: str = Field(primary_key=True)
    lead_id: str = Field(index=True)
    component: str
    at: datetime = Field(sa_column=moment())
    corroborations: int
    independent: int
    """Of those, the ones that do not come from a search that the lead comes from."""


class OutcomeRow(SQLModel, table=True):
    """What became of a lead. The last word counts; those before it stay."""

    __tablename__ = "lead_outcome"
    __table_args__ = (Index("lead_outcome_by_lead", "lead_id", "at"),)

    id: str = Field(primary_key=True)
    lead_id: str
    outcome: str
    component: str
    recorded_by: str
    at: datetime = Field(sa_column=moment())
