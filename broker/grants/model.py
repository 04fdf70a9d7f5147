"""A grant, and the pure question of what it covers.

Nothing here is lenient: a list that is empty covers nothing, a name is compared as written, and reaching down a
tree of agencies or purposes happens only when the grant says so.
"""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from broker.grants.duties import Duty
from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PartnerId, PurposeId, Subject
from broker.kernel.words import Action, ItemKind


class GrantStatus(StrEnum):
    """What is stored of how a grant stands. Uses and time are not: see `GrantState`."""

    PENDING = "pending"
    """Recorded, but a second person of the owner's side has still to confirm it; it permits nothing."""
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Its owner has announced something about the item; it holds again when that is lifted."""
    SUPERSEDED = "superseded"
    """Another grant, with full terms of its own, has taken its place."""
    REVOKED = "revoked"
    ENTERED_IN_ERROR = "entered_in_error"
    """It never was a permission: somebody wrote down what the owner had not said."""

    @property
    def ended(self) -> bool:
        """Whether nothing can make it permit again."""
        return self in (GrantStatus.SUPERSEDED, GrantStatus.REVOKED, GrantStatus.ENTERED_IN_ERROR)


class GrantState(StrEnum):
    """How a grant stands at a moment: what is stored, or what follows of uses and time, so that it is never stale."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    SUPERSEDED = "superseded"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    REVOKED = "revoked"
    ENTERED_IN_ERROR = "entered_in_error"


class Change(StrEnum):
    """What was done to a grant."""

    RECORDED = "recorded"
    CONFIRMED = "confirmed"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    ENTERED_IN_ERROR = "entered_in_error"


class Scope(BaseModel):
    """What a grant is about; every member that is given must match.

    `items` means exactly the item passed on, not its sources and not what derives from it. `case_id`, `partner` and
    `kind` mean items whose every part of that owner matches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    items: tuple[ItemId, ...] = Field(default=(), max_length=100)
    case_id: CaseId | None = None
    partner: PartnerId | None = None
    kind: ItemKind | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.items and self.case_id is None and self.partner is None and self.kind is None:
            raise ValueError("a scope names items, a case, a partner or a kind")
        return self

    @property
    def standing(self) -> bool:
        """Whether it reaches items that nobody has looked at yet, which takes a second officer."""
        return not self.items and self.case_id is None


class Evidence(BaseModel):
    """Where the owner's own act of permission can be read: a reference, and the hash of that document."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reference: str = Field(min_length=1, max_length=500)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Terms(BaseModel):
    """What the owner allows. The period is half-open: valid at `valid_from`, no longer valid at `valid_until`.

    With `lift` it is the owner's word that nothing more is needed of it for exactly one item: no recipient, action or
    purpose is named, and none but civil enforcement is left out (docs/decisions/0055-an-owner-lifts-its-part.md).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    owner: AgencyId
    recipients: tuple[AgencyId, ...] = Field(max_length=100)
    include_components: bool
    action: Action | None
    """None on a lift only."""
    purposes: tuple[PurposeId, ...] = Field(max_length=20)
    include_subpurposes: bool
    scope: Scope
    fields: tuple[str, ...] | None
    """JSON Pointers; None covers the whole content, a list covers only requests for fields within it."""
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    max_uses: int | None
    onward: bool
    caveats: tuple[str, ...]
    evidence: Evidence
    max_hops: int | None = Field(default=None, ge=1, le=5)
    """With `onward`: how many releases may lie between the component that asked and the one to the recipient."""
    duties: tuple[Duty, ...] = ()
    lift: bool = False

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        bare = (not self.recipients, not self.purposes, self.action is None)
        if any(bare) and not (self.lift and all(bare)):
            raise ValueError("a grant names recipients, purposes and an action; a lift names none of them")
        if self.lift and (len(self.scope.items) != 1 or self.scope != Scope(items=self.scope.items)):
            raise ValueError("a lift is of exactly one item")
        return self

    @property
    def hops(self) -> int:
        """How many hops after the component that asked it reaches; 0: only what that component itself passes on."""
        return (self.max_hops or 1) if self.onward else 0

    @property
    def needs_second(self) -> bool:
        """Whether it reaches so far, to unseen items or to everybody, that a second officer has to confirm it."""
        return self.scope.standing or self.lift


class Reach(BaseModel):
    """Whom and what for a grant reached in the trees of the day it was recorded. No later tree ever adds to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    recipients: frozenset[str]
    purposes: frozenset[str]


class Step(BaseModel):
    """One thing done to a grant, by whom and when."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    change: Change
    at: AwareDatetime
    by: Subject
    reason: str | None


class Grant(BaseModel):
    """A recorded grant as it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: GrantId
    terms: Terms
    reach: Reach
    status: GrantStatus
    uses: int
    recorded_by: Subject
    recorded_agency: AgencyId
    recorded_at: AwareDatetime
    confirmed_by: Subject | None
    revoked_at: AwareDatetime | None
    revocation_reason: str | None
    supersedes: GrantId | None = None
    superseded_by: GrantId | None = None

    def state(self, now: datetime) -> GrantState:
        """How it stands at *now*. What has ended stays so; what has run out says that before it says that it rests."""
        if self.status.ended:
            return GrantState(self.status)
        if not now < self.terms.valid_until:
            return GrantState.EXPIRED
        if self.status is GrantStatus.ACTIVE and self.terms.max_uses is not None and self.uses >= self.terms.max_uses:
            return GrantState.EXHAUSTED
        return GrantState(self.status)


class Entry(BaseModel):
    """A grant as the register shows it: how it stands at this moment, and how it came to that."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    grant: Grant
    state: GrantState
    history: tuple[Step, ...]

    @property
    def id(self) -> GrantId:
        """The grant's."""
        return self.grant.id
