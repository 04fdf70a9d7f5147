"""Replies of the audit and of oversight."""

from typing import Any

from pydantic import AwareDatetime, ConfigDict, Field

from broker.api.schemas.words import Reply


class EntryReply(Reply):
    """One act. `index` is its place in the tree, null while it is pending."""

    event_id: str
    at: AwareDatetime
    tag: str
    actor_sub: str
    actor_agency: str
    actor_roles: list[str]
    actor_kind: str
    subjects: dict[str, str]
    detail: dict[str, Any]
    index: int | None


class EntryList(Reply):
    """A page of entries, newest first."""

    items: list[EntryReply]
    next: str | None
    complete: bool


class CheckpointReply(Reply):
    """The newest signed head. `text` is what an owner keeps, and later gives to `broker audit verify`."""

    size: int
    root: str
    at: AwareDatetime
    text: str


class ProofReply(Reply):
    """Shows that an entry is what the checkpoint was signed over (RFC 6962)."""

    event_id: str
    index: int
    size: int
    leaf: str
    path: list[str]
    checkpoint: str


class ReportName(Reply):
    """A report and what it counts."""

    name: str
    definition: str


class ReportList(Reply):
    """Every report there is."""

    items: list[ReportName]
    next: str | None
    complete: bool


class CoverageReply(Reply):
    """The part of the period for which records exist; `from` is null when there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)

    since: AwareDatetime | None = Field(serialization_alias="from", validation_alias="from")
    until: AwareDatetime
    note: str


class ReportReply(Reply):
    """What a report found, and the audit entries behind it."""

    name: str
    definition: str
    coverage: CoverageReply
    rows: list[dict[str, Any]]
    entries: list[str]
