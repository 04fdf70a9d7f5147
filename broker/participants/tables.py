"""Tables of participants, their acceptances, and what was handed over at a contract's end."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from broker.storage.columns import moment


class ParticipantRow(SQLModel, table=True):
    """One enrolment. The reference is unique among those that have not ended."""

    __tablename__ = "participant"
    __table_args__ = (
        Index("participant_enrolled", "partner", "reference", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("participant_by_agency", "agency", "id"),
    )

    id: str = Field(primary_key=True)
    partner: str
    agency: str
    reference: str
    enrolled_by: str
    enrolled_at: datetime = Field(sa_column=moment())
    ended_by: str | None
    ended_at: datetime | None = Field(sa_column=moment(nullable=True))
    end_reason: str | None


class AcceptanceRow(SQLModel, table=True):
    """One version of the terms that one participant accepted. Written once."""

    __tablename__ = "participant_acceptance"

    participant_id: str = Field(primary_key=True, foreign_key="participant.id")
    terms_version: str = Field(primary_key=True)
    accepted_at: datetime = Field(sa_column=moment())
    recorded_by: str
    recorded_at: datetime = Field(sa_column=moment())


class HandOverRow(SQLModel, table=True):
    """What was handed over when a contract had ended: to whom, on which receipt, and how much."""

    __tablename__ = "hand_over"

    id: str = Field(primary_key=True)
    partner: str = Field(index=True)
    agreement: str
    at: datetime = Field(sa_column=moment())
    recorded_by: str
    received_by: str
    receipt: str
    items: int
    participants: int


class HandedOverRow(SQLModel, table=True):
    """One item of a hand-over. An item is handed over once."""

    __tablename__ = "hand_over_item"

    item_id: str = Field(primary_key=True)
    hand_over_id: str = Field(foreign_key="hand_over.id", index=True)
