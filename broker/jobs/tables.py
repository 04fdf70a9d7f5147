"""Tables of what waits to be told."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from broker.storage.columns import document, moment


class NotificationRow(SQLModel, table=True):
    """One message to one agency. Its words never change; how far it got is beside them."""

    __tablename__ = "notification"
    __table_args__ = (
        Index("notification_inbox", "recipient", "at", "id"),
        Index("notification_waiting", "recipient", "next_attempt_at", postgresql_where=text("delivered_at IS NULL")),
    )

    id: str = Field(primary_key=True)
    recipient: str
    subject: str
    about: Any = Field(sa_column=document())
    at: datetime = Field(sa_column=moment())
    attempts: int
    """Rounds that ended without its being delivered."""
    next_attempt_at: datetime = Field(sa_column=moment())
    last_fault: str | None
    delivered_at: datetime | None = Field(sa_column=moment(nullable=True))
    read_by: str | None
    read_at: datetime | None = Field(sa_column=moment(nullable=True))
