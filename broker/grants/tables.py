"""Tables of the register of permission."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from broker.storage.columns import document, moment, words


class GrantRow(SQLModel, table=True):
    """A grant. Its terms and its reach never change; its status, uses and what ended it do, under a row lock."""

    __tablename__ = "permission_grant"

    id: str = Field(primary_key=True)
    owner: str = Field(index=True)
    recipients: list[str] = Field(sa_column=words())
    include_components: bool
    action: str | None
    purposes: list[str] = Field(sa_column=words())
    include_subpurposes: bool
    scope: dict[str, Any] = Field(sa_column=document())
    fields: list[str] | None = Field(sa_column=words(nullable=True))
    valid_from: datetime = Field(sa_column=moment())
    valid_until: datetime = Field(sa_column=moment())
    max_uses: int | None
    onward: bool
    max_hops: int | None
    duties: list[Any] = Field(sa_column=document())
    lift: bool
    reach_recipients: list[str] = Field(sa_column=words())
    reach_purposes: list[str] = Field(sa_column=words())
    caveats: list[str] = Field(sa_column=words())
    evidence_reference: str
    evidence_sha256: str
    status: str
    uses: int
    recorded_by: str
    recorded_agency: str
    recorded_at: datetime = Field(sa_column=moment())
    confirmed_by: str | None
    confirmed_at: datetime | None = Field(sa_column=moment(nullable=True))
    revoked_by: str | None
    revoked_at: datetime | None = Field(sa_column=moment(nullable=True))
    revocation_reason: str | None
    supersedes: str | None
    superseded_by: str | None


class StepRow(SQLModel, table=True):
    """One thing done to a grant. Written once; no foreign key, as the history outlives what it tells of."""

    __tablename__ = "grant_step"

    grant_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    change: str
    at: datetime = Field(sa_column=moment())
    by: str
    reason: str | None


class ReachRow(SQLModel, table=True):
    """One way to find a grant: owner and action, one recipient, one purpose, one scope key.

    A decision looks its grants up here with equalities only, so its cost does not grow with the register. The row is
    a finding aid and no authority: whether the grant covers the question is judged on the grant, locked.
    """

    __tablename__ = "grant_reach"
    __table_args__ = (
        Index(
            "grant_reach_lookup",
            "owner",
            "scope_key",
            "action",
            "recipient",
            "purpose",
            postgresql_where=text("active"),
            postgresql_include=["grant_id", "valid_until", "counted"],
        ),
        Index("grant_reach_past", "owner", "scope_key", "action", "recipient", postgresql_where=text("NOT active")),
    )

    grant_id: str = Field(primary_key=True, foreign_key="permission_grant.id")
    recipient: str = Field(primary_key=True)
    purpose: str = Field(primary_key=True)
    scope_key: str = Field(primary_key=True)
    owner: str
    action: str
    active: bool
    ending: bool = False
    """Whether its owner has begun to end it; what has begun to end is never active again, whatever comes between."""
    counted: bool
    valid_until: datetime = Field(sa_column=moment())
