"""Tables of held releases, and how far the log has been read for what may cure them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from broker.audit.tables import Xid8
from broker.storage.columns import document, moment, words


class HeldReleaseRow(SQLModel, table=True):
    """A release that waits for a permission. Its question never changes; its state does, under a row lock."""

    __tablename__ = "held_release"
    __table_args__ = (
        Index("held_release_by_component", "component", "id"),
        Index("held_release_by_owner", "owners", postgresql_using="gin", postgresql_where=text("state = 'held'")),
        Index("held_release_due", "look_at", postgresql_where=text("state = 'held'")),
        Index("held_release_woken", "id", postgresql_where=text("state = 'held' AND woken")),
    )

    id: str = Field(primary_key=True)
    component: str
    requested_by: str
    requested_at: datetime = Field(sa_column=moment())
    expires_at: datetime = Field(sa_column=moment())
    item_id: str
    recipient: str
    person: str
    address: str
    action: str
    purpose: str
    case_id: str
    fields: list[str] | None = Field(sa_column=words(nullable=True))
    state: str
    woken: bool
    """Something has come that may cure the refusal; it is to be decided anew."""
    look_at: datetime = Field(sa_column=moment())
    """When it is to be decided anew whatever comes: it ends then, or a permission begins, or a day has passed."""
    owners: list[str] = Field(sa_column=words())
    """Whose permission was missing at the newest decision."""
    unreviewed: bool
    decision_id: str
    refusal: Any = Field(sa_column=document())
    release_id: str | None
    ended_at: datetime | None = Field(sa_column=moment(nullable=True))
    ending: str | None


class HeldCursorRow(SQLModel, table=True):
    """How far the log has been read: one row. Entries are taken in the order of ``broker.audit.sequencer``."""

    __tablename__ = "held_cursor"

    id: int = Field(primary_key=True)
    xact: str = Field(sa_column=Column(Xid8, nullable=False))
    entry_id: int = Field(sa_column=Column(BigInteger, nullable=False))
