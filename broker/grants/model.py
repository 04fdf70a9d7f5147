"""A grant, and the pure question of what it covers.

Nothing here is lenient: a list that is empty covers nothing, a name is compared as written, and reaching down a
tree of agencies or purposes happens only when the grant says so.
"""

from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PartnerId, PurposeId, Subject
from broker.kernel.words import Action, ItemKind


class GrantStatus(StrEnum):
    """`pending`: recorded, but a second person of the owner's side has still to confirm it; it permits nothing."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Its owner has announced something about the item; it holds again when that is lifted."""
    REVOKED = "revoked"


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
    """What the owner allows. The period is half-open: valid at `valid_from`, no longer valid at `valid_until`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    owner: AgencyId
    recipients: tuple[AgencyId, ...] = Field(min_length=1, max_length=100)
    include_components: bool
    action: Action
    purposes: tuple[PurposeId, ...] = Field(min_length=1, max_length=20)
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


class Grant(BaseModel):
    """A recorded grant as it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: GrantId
    terms: Terms
    status: GrantStatus
    uses: int
    recorded_by: Subject
    recorded_agency: AgencyId
    recorded_at: AwareDatetime
    confirmed_by: Subject | None
    revoked_at: AwareDatetime | None
    revocation_reason: str | None
