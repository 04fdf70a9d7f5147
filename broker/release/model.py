"""A release and its disclosure: values."""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from broker.kernel.ids import AgencyId, CaseId, DecisionId, DisclosureId, GrantId, ItemId, PurposeId, ReleaseId, Subject
from broker.kernel.words import Action

Package = dict[str, Any]
"""What the recipient gets: JSON with the content or the fields asked for, their markings, and the caveats."""


class Direction(StrEnum):
    """From the side of one agency."""

    MADE = "made"
    RECEIVED = "received"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Recipient(_Value):
    """To whom: the agency decides, the person and the address are for the accounting."""

    agency: AgencyId
    person: str = Field(min_length=1, max_length=200)
    address: str = Field(min_length=1, max_length=500)


class ReleaseRequest(_Value):
    """Somebody asks to pass an item on."""

    item: ItemId
    recipient: Recipient
    action: Action
    purpose: PurposeId
    case_id: CaseId
    fields: tuple[str, ...] | None
    danger: str | None = None
    """The imminent danger for which it is asked without waiting for a permission (R13); None where it is not."""


class Disclosure(_Value):
    """The record that a release reached a recipient."""

    id: DisclosureId
    at: AwareDatetime
    nature: str
    owners: tuple[AgencyId, ...]
    purpose: PurposeId
    recipient: Recipient
    purge_by: AwareDatetime | None = None
    """By when the recipient has to have destroyed the copy, where an owner's permission says so."""


class Acceptance(_Value):
    """That the recipient's side has accepted the caveats of a copy: who, for which agency, and when (R14)."""

    by: Subject
    agency: AgencyId
    at: AwareDatetime


class LeftOut(_Value):
    """What a release left out of the item, for those who may know that there is more."""

    partial: bool
    owners: tuple[AgencyId, ...]
    """Owners of the item of whom nothing was disclosed, as far as the reader may know of them."""


class Release(_Value):
    """A copy that was made for a recipient."""

    id: ReleaseId
    component: AgencyId
    requested_by: Subject
    at: AwareDatetime
    request: ReleaseRequest
    decision_id: DecisionId
    grants: tuple[GrantId, ...]
    caveats: tuple[str, ...]
    """Codes, sorted; the recipient accepts all of them before it is shown the content."""
    hop: int
    """How many releases the item has gone through with this one."""
    received_by: tuple[ReleaseId, ...]
    """The releases by which the one who passed it on held it; empty for the component that asked."""
    disclosure: Disclosure
    acceptance: Acceptance | None
    left_out: LeftOut | None = None
    """None when the reader may not know, whether something was left out or not. It is never kept with the release."""

    @property
    def open_to_recipient(self) -> bool:
        """Whether the recipient may be shown the content: nothing has to be accepted, or all of it was."""
        return not self.caveats or self.acceptance is not None
