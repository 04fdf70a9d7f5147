"""Tables of notices."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from broker.storage.columns import moment


class NoticeRow(SQLModel, table=True):
    """What an owner said about an item."""

    __tablename__ = "notice"

    id: str = Field(primary_key=True)
    item_id: str = Field(index=True)
    owner: str = Field(index=True)
    kind: str
    text: str
    recorded_by: str
    recorded_at: datetime = Field(sa_column=moment())
    acknowledge_by: datetime = Field(sa_column=moment())
    exempt_ground: str | None
    """Why recipients need not acknowledge; None where they have to."""
    lifted_by: str | None
    lifted_at: datetime | None = Field(sa_column=moment(nullable=True))


class AffectedRow(SQLModel, table=True):
    """An item that a notice reaches: the one named, or one made of it. A decision looks here by the item."""

    __tablename__ = "notice_item"
    __table_args__ = (Index("notice_item_standing", "item_id", postgresql_where=text("standing")),)

    notice_id: str = Field(primary_key=True, foreign_key="notice.id")
    item_id: str = Field(primary_key=True)
    standing: bool
    """False once the owner has lifted the notice."""


class DeliveryRow(SQLModel, table=True):
    """One disclosure whose recipient has to be told, and whether it has acknowledged."""

    __tablename__ = "notice_delivery"
    __table_args__ = (
        Index("notice_delivery_by_recipient", "recipient", "notice_id"),
        Index("notice_delivery_open", "notice_id", postgresql_where=text("acknowledged_at IS NULL")),
    )

    notice_id: str = Field(primary_key=True, foreign_key="notice.id")
    disclosure_id: str = Field(primary_key=True, foreign_key="disclosure.id")
    recipient: str
    acknowledged_by: str | None
    acknowledged_at: datetime | None = Field(sa_column=moment(nullable=True))
    reminded_at: datetime | None = Field(sa_column=moment(nullable=True))
