"""What is recorded of items, decisions about them, and releases."""

from typing import Literal

from broker.audit.events.base import AuditEvent


class ItemDerived(AuditEvent):
    """Something was written from items, with the owners it carries for good."""

    tag = "item:derived:created"
    item_id: str
    case_id: str
    kind: str
    owners: tuple[str, ...]
    sources: tuple[str, ...]


class ItemRecognised(AuditEvent):
    """Something came back without its source, or as a package, and was known again."""

    tag = "item:provenance:recognised"
    item_id: str
    sources: tuple[str, ...]


class ItemReviewed(AuditEvent):
    """A reviewer gave candidates their dispositions."""

    tag = "item:review:recorded"
    item_id: str
    review_id: str
    dispositions: int


class ReviewDisputed(AuditEvent):
    """Two reviewers have been through a list and disagree on some of its candidates."""

    tag = "item:review:disputed"
    item_id: str
    review_id: str
    candidates: int


class ReviewResolved(AuditEvent):
    """A third reviewer has given every disputed candidate a disposition."""

    tag = "item:review:resolved"
    item_id: str
    review_id: str


class Decided(AuditEvent):
    """A decision, Permit or Deny, with all that is needed to make it again years later."""

    tag = "decision:gate:made"
    decision_id: str
    item_id: str
    release_id: str | None
    channel: Literal["view", "derive", "dry_run", "release", "package", "holding"]
    outcome: Literal["permit", "deny"]
    action: str
    recipient: str
    purpose: str
    owners: tuple[str, ...]
    reasons: tuple[str, ...]
    grants: tuple[str, ...]
    holdings: tuple[str, ...] = ()
    """The releases under which the asker holds the item, where it did not get it by asking for it itself."""
    policy_digest: str


class ReleaseRead(AuditEvent):
    """Somebody fetched the copy of a release."""

    tag = "release:package:read"
    release_id: str
