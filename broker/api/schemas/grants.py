"""Bodies and replies of the register of permission."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, model_validator

from broker.api.schemas.duties import DutyList, DutyReply, duties_reply
from broker.api.schemas.words import Body, Flag, Line, Moment, Pointer, Reply, Whole, Word
from broker.grants.model import Change, Entry, Evidence, GrantState, Scope, Terms
from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PartnerId, PurposeId, ReleaseId
from broker.kernel.words import Action, ItemKind
from broker.release.reliance import Reliance


class ScopeBody(Body):
    """What the grant is about. One or more members; all that are given must match."""

    items: Annotated[list[Word], Field(max_length=100, default_factory=list)]
    case_id: Word | None = None
    partner: Word | None = None
    kind: ItemKind | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.items and self.case_id is None and self.partner is None and self.kind is None:
            raise ValueError("names items, a case_id, a partner or a kind")
        return self


class EvidenceBody(Body):
    """The owner's own act of permission: where it can be read, and its SHA-256 in lower-case hex."""

    reference: Line
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class NewGrant(Body):
    """What the owner permits. The period is half-open."""

    owner: Word
    recipients: Annotated[list[Word], Field(min_length=1, max_length=100)]
    include_components: Flag = False
    action: Action
    purposes: Annotated[list[Word], Field(min_length=1, max_length=20)]
    include_subpurposes: Flag = False
    scope: ScopeBody
    fields: Annotated[list[Pointer], Field(max_length=100)] | None = None
    valid_from: Moment
    valid_until: Moment
    max_uses: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    onward: Flag = False
    max_hops: Annotated[Whole, Field(ge=1, le=5)] | None = None
    """With `onward`: how many releases may lie before the one that relies on this; 1 if it is left out."""
    caveats: Annotated[list[Word], Field(max_length=20, default_factory=list)]
    duties: DutyList
    evidence: EvidenceBody

    def terms(self) -> Terms:
        """The same as a value of the field."""
        scope = self.scope
        return Terms(
            owner=AgencyId(self.owner),
            recipients=tuple(AgencyId(one) for one in self.recipients),
            include_components=self.include_components,
            action=self.action,
            purposes=tuple(PurposeId(one) for one in self.purposes),
            include_subpurposes=self.include_subpurposes,
            scope=Scope(
                items=tuple(ItemId(one) for one in scope.items),
                case_id=CaseId(scope.case_id) if scope.case_id is not None else None,
                partner=PartnerId(scope.partner) if scope.partner is not None else None,
                kind=scope.kind,
            ),
            fields=tuple(self.fields) if self.fields is not None else None,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            max_uses=self.max_uses,
            onward=self.onward,
            caveats=tuple(self.caveats),
            evidence=Evidence(reference=self.evidence.reference, sha256=self.evidence.sha256),
            max_hops=self.max_hops,
            duties=tuple(duty.value() for duty in self.duties),
        )


class Revocation(Body):
    """Why a grant ends, never was one, or why an owner's part is lifted."""

    reason: Line


class ScopeReply(Reply):
    """What a grant is about."""

    items: list[ItemId]
    case_id: CaseId | None
    partner: PartnerId | None
    kind: ItemKind | None


class EvidenceReply(Reply):
    """Where the owner's act can be read."""

    reference: str
    sha256: str


class StepReply(Reply):
    """One thing done to a grant."""

    change: Change
    at: AwareDatetime
    by: str
    reason: str | None


class GrantReply(Reply):
    """A grant as it stands: `exhausted` and `expired` follow from uses and time, the rest from what was done to it.

    With `lift` no recipient, action or purpose is named, and none but civil enforcement is left out.
    """

    id: GrantId
    status: GrantState
    lift: bool
    owner: AgencyId
    recipients: list[AgencyId]
    include_components: bool
    action: Action | None
    purposes: list[PurposeId]
    include_subpurposes: bool
    scope: ScopeReply
    fields: list[str] | None
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    max_uses: int | None
    uses: int
    onward: bool
    max_hops: int
    """0: only what the component that asked passes on itself."""
    caveats: list[str]
    duties: list[DutyReply]
    evidence: EvidenceReply
    recorded_by: str
    recorded_agency: AgencyId
    recorded_at: AwareDatetime
    confirmed_by: str | None
    revoked_at: AwareDatetime | None
    revocation_reason: str | None
    supersedes: GrantId | None
    superseded_by: GrantId | None
    history: list[StepReply]


class RelianceReply(Reply):
    """A release that relied on a grant, and who got the copy."""

    release: ReleaseId
    item: ItemId
    released_at: AwareDatetime
    recipient: AgencyId
    person: str
    address: str


class ErrorReply(GrantReply):
    """A grant that never was one. `releases` relied on it and are the owner's to recall; null for a liaison."""

    releases: list[RelianceReply] | None


class GrantList(Reply):
    """A page of grants."""

    items: list[GrantReply]
    next: str | None
    complete: bool


def grant_reply(entry: Entry) -> GrantReply:
    """The outward form of a grant."""
    return GrantReply.model_validate(_members(entry), strict=False)


def error_reply(entry: Entry, releases: Sequence[Reliance] | None) -> ErrorReply:
    """The outward form of a grant that never was one."""
    relied = None if releases is None else [RelianceReply(**one.model_dump()) for one in releases]
    return ErrorReply.model_validate({**_members(entry), "releases": relied}, strict=False)


def _members(entry: Entry) -> dict[str, Any]:
    grant = entry.grant
    return {
        **grant.model_dump(exclude={"terms", "reach", "status"}),
        **grant.terms.model_dump(),
        "status": entry.state,
        "max_hops": grant.terms.hops,
        "duties": duties_reply(grant.terms.duties),
        "history": [StepReply(**step.model_dump()) for step in entry.history],
    }
