"""Owners' verifications: values."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, ItemId, Subject, VerificationId, VerificationRequestId


class Confirmation(StrEnum):
    """What an owner says of its part in an item."""

    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not_confirmed"
    CANNOT_SAY = "cannot_say"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class VerificationRequest(_Value):
    """Owners were asked about an item. An owner sees itself alone among them."""

    id: VerificationRequestId
    item: ItemId
    component: AgencyId
    requested_by: Subject
    at: AwareDatetime
    owners: tuple[AgencyId, ...]
    note: str
    answered: tuple[AgencyId, ...]
    """Those of them who have said something of the item since."""


class Verification(_Value):
    """What an owner said of an item."""

    id: VerificationId
    item: ItemId
    owner: AgencyId
    outcome: Confirmation
    note: str | None
    answered_by: Subject
    at: AwareDatetime
