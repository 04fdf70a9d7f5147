"""Every act that is recorded, as a closed set of classes.

The tag reads ``subject:object:action``. `subjects` are the ids by which an entry is found again; `detail` is the
rest. Neither ever holds the content of an item or of a probe: the audit is read by people who may not see those.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class Actor(BaseModel):
    """Who acted: a person as their token named them, or a part of the service itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sub: str
    agency: str
    roles: tuple[str, ...] = ()
    kind: Literal["person", "service"] = "person"


def service_actor(part: str) -> Actor:
    """The service acting on its own, e.g. ``worker`` or ``callback``."""
    return Actor(sub=part, agency="broker", kind="service")


class AuditEvent(BaseModel):
    """The base: subclasses name their tag and fields. Fields whose names end in ``_id`` are subjects."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tag: ClassVar[str]
    actor: Actor

    @property
    def subjects(self) -> dict[str, str]:
        """The named ids, without those that are None."""
        return {
            name.removesuffix("_id"): value
            for name, value in self.model_dump(mode="json").items()
            if name.endswith("_id") and value is not None
        }

    def detail(self) -> dict[str, Any]:
        """Everything but actor and subjects, as JSON values."""
        dumped = self.model_dump(mode="json")
        return {name: value for name, value in dumped.items() if name != "actor" and not name.endswith("_id")}


class CaseOpened(AuditEvent):
    """A matter was registered."""

    tag = "case:register:opened"
    case_id: str


class CaseClosed(AuditEvent):
    """A matter takes no further search."""

    tag = "case:register:closed"
    case_id: str


class SearchRequested(AuditEvent):
    """A search was accepted; it is counted once, whatever it takes to get an answer."""

    tag = "search:request:accepted"
    search_id: str
    case_id: str
    purpose: str
    predicate: str
    evidentiary_basis: str
    civil_enforcement_only: bool
    exigent: bool
    probe_sha256: str
    partners: tuple[str, ...]


class SearchCancelled(AuditEvent):
    """The requester ended what had no answer yet."""

    tag = "search:request:cancelled"
    search_id: str


class SearchRead(AuditEvent):
    """Somebody looked at how far a search is."""

    tag = "search:record:read"
    search_id: str


class LegSent(AuditEvent):
    """One call went out. The first is the search; later ones are retries of it."""

    tag = "search:leg:sent"
    search_id: str
    partner: str
    transaction_id: str
    attempt: int


class LegEnded(AuditEvent):
    """One partner's part is over; `state` says how, `reason` why where it is not an answer."""

    tag = "search:leg:ended"
    search_id: str
    partner: str
    transaction_id: str
    state: str
    reason: str | None
    item_id: str | None


class CallbackRefused(AuditEvent):
    """A callback was not shown to be the partner's, or belongs to no leg."""

    tag = "partner:callback:refused"
    partner: str
    reason: str


class ItemDerived(AuditEvent):
    """Something was written from items, with the owners it carries for good."""

    tag = "item:derived:created"
    item_id: str
    case_id: str
    kind: str
    owners: tuple[str, ...]
    sources: tuple[str, ...]


class ItemReviewed(AuditEvent):
    """A reviewer gave candidates their dispositions."""

    tag = "item:review:recorded"
    item_id: str
    review_id: str
    dispositions: int


class Decided(AuditEvent):
    """A decision, Permit or Deny, with all that is needed to make it again years later."""

    tag = "decision:gate:made"
    decision_id: str
    item_id: str
    release_id: str | None
    channel: Literal["view", "derive", "dry_run", "release", "package"]
    outcome: Literal["permit", "deny"]
    action: str
    recipient: str
    purpose: str
    owners: tuple[str, ...]
    reasons: tuple[str, ...]
    grants: tuple[str, ...]
    policy_digest: str


class ReleaseRead(AuditEvent):
    """Somebody fetched the copy of a release."""

    tag = "release:package:read"
    release_id: str


class GrantRecorded(AuditEvent):
    """A permission was written down."""

    tag = "grant:register:recorded"
    grant_id: str
    owner: str
    status: str
    evidence_sha256: str


class GrantConfirmed(AuditEvent):
    """A second person confirmed a permission."""

    tag = "grant:register:confirmed"
    grant_id: str
    owner: str


class GrantRevocationBegun(AuditEvent):
    """An owner is ending a permission: no new decision finds it any more, those under way may still run out."""

    tag = "grant:register:revoking"
    grant_id: str
    owner: str


class GrantRevoked(AuditEvent):
    """An owner ended a permission."""

    tag = "grant:register:revoked"
    grant_id: str
    owner: str
    reason: str


class GrantUsed(AuditEvent):
    """A counted permission was used once more."""

    tag = "grant:register:used"
    grant_id: str
    release_id: str
    uses: int


class PermissionRequested(AuditEvent):
    """Owners were asked to permit something."""

    tag = "permission:request:submitted"
    permission_request_id: str
    item_id: str
    owners: tuple[str, ...]
    recipient: str


class PermissionAcknowledged(AuditEvent):
    """An officer of the owner has read its part."""

    tag = "permission:request:acknowledged"
    permission_request_id: str
    owner: str


class PermissionAnswered(AuditEvent):
    """An owner answered; an answer that grants names the grant it made."""

    tag = "permission:request:answered"
    permission_request_id: str
    grant_id: str | None
    owner: str
    outcome: str


class PermissionInformed(AuditEvent):
    """The requester answered owners who had asked back."""

    tag = "permission:request:informed"
    permission_request_id: str


class PermissionWithdrawn(AuditEvent):
    """The requester took back what nobody had answered."""

    tag = "permission:request:withdrawn"
    permission_request_id: str


class PermissionExpired(AuditEvent):
    """Nobody answered in time, which is no consent."""

    tag = "permission:request:expired"
    permission_request_id: str


class GrantSuspended(AuditEvent):
    """A permission rests because its owner has announced something about the item."""

    tag = "grant:register:suspended"
    grant_id: str
    owner: str


class GrantResumed(AuditEvent):
    """A suspended permission holds again."""

    tag = "grant:register:resumed"
    grant_id: str
    owner: str


class NoticeRecorded(AuditEvent):
    """An owner said that something is disputed, corrected or withdrawn."""

    tag = "recall:notice:recorded"
    notice_id: str
    item_id: str
    owner: str
    kind: str
    affected: int
    recipients: int
    suspended: int


class NoticeLifted(AuditEvent):
    """An owner took a notice back."""

    tag = "recall:notice:lifted"
    notice_id: str
    owner: str


class NoticeAcknowledged(AuditEvent):
    """A recipient has read a notice."""

    tag = "recall:notice:acknowledged"
    notice_id: str
    copies: int


class PolicyActivated(AuditEvent):
    """Another policy decides from here on."""

    tag = "policy:bundle:activated"
    digest: str
    replaces: str | None


class PolicyRefused(AuditEvent):
    """A changed policy was not taken; the one in force stays."""

    tag = "policy:bundle:refused"
    faults: int
    in_force: str


class CallRefused(AuditEvent):
    """A call that the caller's role or agency does not allow, or one about something they may not know of."""

    tag = "call:access:refused"
    route: str
    status: int


class AuditRead(AuditEvent):
    """Somebody read the audit."""

    tag = "audit:entries:read"
    query: str


class ReportRead(AuditEvent):
    """Somebody asked an oversight question."""

    tag = "oversight:report:read"
    report: str
    since: str | None
    until: str | None


EVENTS: tuple[type[AuditEvent], ...] = tuple(AuditEvent.__subclasses__())
