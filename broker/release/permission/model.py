"""A permission request: one question to several owners, each of whom answers for its own part and sees nothing else.

Silence is never consent: what is not answered expires. Pure.
"""

from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PermissionRequestId, PurposeId, Subject
from broker.kernel.words import Action, ItemKind


class PartState(StrEnum):
    """Where one owner's part of a request stands. A draft is the member of a refusal and is not kept."""

    SUBMITTED = "submitted"
    ACKNOWLEDGED = "acknowledged"
    """An officer of the owner has read it."""
    NEEDS_INFORMATION = "needs_information"
    """The owner has asked back; the requester's answer makes it `submitted` again."""
    GRANTED = "granted"
    GRANTED_WITH_CONDITIONS = "granted_with_conditions"
    PARTIALLY_GRANTED = "partially_granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"

    @property
    def open(self) -> bool:
        """Whether the owner may still answer."""
        return self in _OPEN


_OPEN: Final = frozenset({PartState.SUBMITTED, PartState.ACKNOWLEDGED, PartState.NEEDS_INFORMATION})
GRANTING: Final = frozenset({PartState.GRANTED, PartState.GRANTED_WITH_CONDITIONS, PartState.PARTIALLY_GRANTED})
"""Answers that create the owner's grant."""
ANSWERS: Final = GRANTING | {PartState.DENIED, PartState.NEEDS_INFORMATION}


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Use(_Value):
    """One part of the item that uses this owner's information. `text` is None where others' is in it as well."""

    part: int
    sources: tuple[ItemId, ...]
    """Those of the part's sources in which this owner has a part."""
    text: str | None


class Part(_Value):
    """One owner's part of a request."""

    owner: AgencyId
    state: PartState
    uses: tuple[Use, ...]
    note: str | None
    """What the owner said with its last answer."""
    answered_by: Subject | None
    answered_at: AwareDatetime | None
    grant_id: GrantId | None
    information: tuple[str, ...]
    """What the requester answered when this owner asked back, in order."""


class PermissionRequest(_Value):
    """What the owners are asked to permit."""

    id: PermissionRequestId
    item: ItemId
    kind: ItemKind
    component: AgencyId
    requested_by: Subject
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    recipient: AgencyId
    action: Action
    purpose: PurposeId
    case_id: CaseId
    fields: tuple[str, ...] | None
    justification: str
    parts: tuple[Part, ...]

    def part_of(self, owner: str) -> Part | None:
        """That owner's part."""
        return next((part for part in self.parts if part.owner == owner), None)

    @property
    def state(self) -> PartState:
        """The request as a whole: as far as the part that is furthest from a grant."""
        return min((part.state for part in self.parts), key=_FURTHEST.index)


_FURTHEST: Final = (
    PartState.WITHDRAWN,
    PartState.DENIED,
    PartState.EXPIRED,
    PartState.NEEDS_INFORMATION,
    PartState.SUBMITTED,
    PartState.ACKNOWLEDGED,
    PartState.PARTIALLY_GRANTED,
    PartState.GRANTED_WITH_CONDITIONS,
    PartState.GRANTED,
)
