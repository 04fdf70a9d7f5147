"""A notice of an owner about an item, and one recipient's copy of it: values."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, DisclosureId, ItemId, NoticeId, ReleaseId, Subject


class NoticeKind(StrEnum):
    """What the owner says of its information. Each stops further passing on until the owner lifts it."""

    DISPUTED = "disputed"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Notice(_Value):
    """What an owner said, when, and by when recipients have to acknowledge it."""

    id: NoticeId
    item: ItemId
    owner: AgencyId
    kind: NoticeKind
    text: str
    recorded_by: Subject
    recorded_at: AwareDatetime
    acknowledge_by: AwareDatetime
    exempt_ground: str | None
    """Why recipients need not acknowledge; None where they have to."""
    lifted_at: AwareDatetime | None
    affected: int
    """Items that are the one named or were made of it."""
    recipients: int
    acknowledged: int


class Delivery(_Value):
    """A notice as one recipient of one disclosure gets it. `item` is what that recipient holds."""

    notice: NoticeId
    disclosure: DisclosureId
    release: ReleaseId
    item: ItemId
    owner: AgencyId
    kind: NoticeKind
    text: str
    recipient: AgencyId
    person: str
    address: str
    acknowledge_by: AwareDatetime
    exempt_ground: str | None
    acknowledged_by: Subject | None
    acknowledged_at: AwareDatetime | None
    lifted_at: AwareDatetime | None


class Overdue(_Value):
    """One copy whose recipient has not acknowledged in time."""

    notice: NoticeId
    disclosure: DisclosureId
    release: ReleaseId
    item: ItemId
    owner: AgencyId
    recipient: AgencyId
    person: str
    address: str
    acknowledge_by: AwareDatetime
    days: int
    """Whole days since then."""
    reminded_at: AwareDatetime | None


class Reminder(_Value):
    """That an agency is to be reminded of a notice."""

    notice: NoticeId
    owner: AgencyId
    recipient: AgencyId
