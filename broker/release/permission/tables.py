"""Tables of permission requests."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from broker.storage.columns import moment, octets, words


class PermissionRequestRow(SQLModel, table=True):
    """A question to owners. Its words never change; what is said later is beside it."""

    __tablename__ = "permission_request"
    __table_args__ = (Index("permission_request_by_component", "component", "id"),)

    id: str = Field(primary_key=True)
    item_id: str = Field(index=True)
    kind: str
    component: str
    requested_by: str
    requested_at: datetime = Field(sa_column=moment())
    expires_at: datetime = Field(sa_column=moment())
    recipient: str
    action: str
    purpose: str
    case_id: str
    fields: list[str] | None = Field(sa_column=words(nullable=True))
    justification: str


class PermissionPartRow(SQLModel, table=True):
    """One owner's part. `uses` shows the owner's own information only, and is sealed like any content."""

    __tablename__ = "permission_part"
    __table_args__ = (
        Index("permission_part_by_owner", "owner", "request_id"),
        Index("permission_part_by_grant", "grant_id", postgresql_where=text("grant_id IS NOT NULL")),
        Index(
            "permission_part_open",
            "request_id",
            postgresql_where=text("state IN ('submitted', 'acknowledged', 'needs_information')"),
        ),
    )

    request_id: str = Field(primary_key=True, foreign_key="permission_request.id")
    owner: str = Field(primary_key=True)
    state: str
    note: str | None
    answered_by: str | None
    answered_at: datetime | None = Field(sa_column=moment(nullable=True))
    grant_id: str | None
    information: list[str] = Field(sa_column=words())
    wrapped_key: bytes = Field(sa_column=octets())
    ciphertext: bytes = Field(sa_column=octets())
