"""The record of decisions: enough to make each again years later."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from broker.storage.columns import document, moment, words


class DecisionRow(SQLModel, table=True):
    """One decision, Permit or Deny, whoever asked and for whichever channel. Written once."""

    __tablename__ = "decision"

    id: str = Field(primary_key=True)
    at: datetime = Field(sa_column=moment())
    channel: str
    actor: str
    component: str = Field(index=True)
    item_id: str = Field(index=True)
    recipient: str
    action: str
    purpose: str | None
    case_id: str | None
    outcome: str
    question: dict[str, Any] = Field(sa_column=document())
    reasons: list[Any] = Field(sa_column=document())
    missing: list[Any] = Field(sa_column=document())
    rules: list[str] = Field(sa_column=words())
    grants: list[str] = Field(sa_column=words())
    holdings: list[str] = Field(sa_column=words())
    owners: list[str] = Field(sa_column=words())
    lineage: dict[str, Any] = Field(sa_column=document())
    policy_digest: str
