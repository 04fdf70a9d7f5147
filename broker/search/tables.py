"""Tables of searches, their legs, their probes, and answers held in quarantine."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from broker.storage.columns import document, moment, octets

_OPEN: Final = "state IN ('queued', 'sent', 'pending')"


class SearchRow(SQLModel, table=True):
    """An accepted search. Written once; how far it is follows from its legs."""

    __tablename__ = "search"
    __table_args__ = (Index("search_by_component", "component", "id"),)

    id: str = Field(primary_key=True)
    component: str
    case_id: str = Field(index=True)
    requested_by: str
    requested_at: datetime = Field(sa_column=moment())
    deadline_at: datetime = Field(sa_column=moment())
    purpose: str
    predicate: str
    evidentiary_basis: str
    civil_enforcement_only: bool
    exigent: bool
    training_valid: bool
    terms: dict[str, Any] = Field(sa_column=document())
    traceparent: str | None
    """The trace that its acceptance belongs to, where one is made; a random number."""


class LegRow(SQLModel, table=True):
    """One partner's part. The transaction id is made when the search is accepted and never again."""

    __tablename__ = "search_leg"
    __table_args__ = (
        UniqueConstraint("search_id", "partner"),
        Index("search_leg_open", "deadline_at", postgresql_where=text(_OPEN)),
        Index("search_leg_by_partner", "partner", "requested_at"),
        Index("search_leg_due", "partner", "due_at", postgresql_where=text(_OPEN)),
        Index(
            "search_leg_leased",
            "partner",
            "leased_until",
            postgresql_where=text(f"leased_until IS NOT NULL AND {_OPEN}"),
        ),
        Index("search_leg_sent", "partner", "sent_at", postgresql_where=text("sent_at IS NOT NULL")),
    )

    transaction_id: str = Field(primary_key=True)
    search_id: str = Field(foreign_key="search.id")
    partner: str
    state: str
    reason: str | None
    refusals: list[dict[str, Any]] = Field(sa_column=document())
    item_id: str | None
    task_id: str | None
    calls: int
    requested_at: datetime = Field(sa_column=moment())
    deadline_at: datetime = Field(sa_column=moment())
    ended_at: datetime | None = Field(sa_column=moment(nullable=True))
    sent_at: datetime | None = Field(sa_column=moment(nullable=True))
    """When its first call went out."""
    gallery: str | None = None
    """What its first call asked, and so every other one."""
    callback_url: str | None = None
    polls: int = Field(default=0)
    due_at: datetime = Field(sa_column=moment())
    """While it is open: when a worker is to look after it next."""
    leased_until: datetime | None = Field(sa_column=moment(nullable=True))
    """A worker is looking after it, and says so again before then; if it does not, another one takes over."""


class LineRow(SQLModel, table=True):
    """What all workers together know of one partner: whether it answers, and how much it may be called."""

    __tablename__ = "partner_line"

    partner: str = Field(primary_key=True)
    circuit: str
    failures: int
    openings: int
    until: datetime | None = Field(sa_column=moment(nullable=True))
    retries_left: float
    retried_at: datetime | None = Field(sa_column=moment(nullable=True))
    counted_until: datetime = Field(sa_column=moment())
    """Searches first sent until then have earned their part of the budget."""
    tokens: float
    tokens_at: datetime = Field(sa_column=moment())


class ProbeRow(SQLModel, table=True):
    """The probe as it is sent to partners: drawn anew, without metadata, sealed. Never enrolled anywhere."""

    __tablename__ = "probe"

    search_id: str = Field(primary_key=True, foreign_key="search.id")
    kind: str
    submitted_sha256: str = Field(index=True)
    """Of the bytes as they were handed in, so that the same file searched again is found again."""
    sent_sha256: str
    width: int
    height: int
    wrapped_key: bytes = Field(sa_column=octets())
    ciphertext: bytes = Field(sa_column=octets())


class QuarantineRow(SQLModel, table=True):
    """An answer that claimed another owner than the register's: kept sealed as evidence, shown to nobody."""

    __tablename__ = "quarantine"

    transaction_id: str = Field(primary_key=True, foreign_key="search_leg.transaction_id")
    partner: str
    at: datetime = Field(sa_column=moment())
    claimed_owner: str
    wrapped_key: bytes = Field(sa_column=octets())
    ciphertext: bytes = Field(sa_column=octets())
