"""Bodies and replies of notices."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from broker.api.schemas.words import Body, Moment, Reply, Text
from broker.kernel.ids import AgencyId, DisclosureId, ItemId, NoticeId, ReleaseId
from broker.recall.model import Delivery, Notice, NoticeKind, Overdue


class NewNotice(Body):
    """What an owner says of its information. Recipients have ten days to acknowledge unless it says otherwise."""

    kind: NoticeKind
    text: Annotated[Text, Field(max_length=5000)]
    acknowledge_by: Moment | None = None


class NoticeReply(Reply):
    """A notice, how far it reaches, and how many recipients have acknowledged."""

    id: NoticeId
    item: ItemId
    owner: AgencyId
    kind: NoticeKind
    text: str
    recorded_at: AwareDatetime
    acknowledge_by: AwareDatetime
    exempt_ground: str | None
    lifted_at: AwareDatetime | None
    affected: int
    recipients: int
    acknowledged: int


class NoticeList(Reply):
    """A page of notices."""

    items: list[NoticeReply]
    next: str | None
    complete: bool


class DeliveryReply(Reply):
    """A notice about one copy that the caller's agency holds."""

    notice: NoticeId
    owner: AgencyId
    kind: NoticeKind
    text: str
    release: ReleaseId
    disclosure: DisclosureId
    item: ItemId
    person: str
    acknowledge_by: AwareDatetime
    exempt_ground: str | None
    acknowledged_at: AwareDatetime | None
    lifted_at: AwareDatetime | None


class DeliveryList(Reply):
    """What the caller's agency has to be told."""

    items: list[DeliveryReply]
    next: str | None
    complete: bool


class OverdueReply(Reply):
    """A copy whose recipient has not acknowledged in time, for the owner that announced the notice."""

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
    reminded_at: AwareDatetime | None


class OverdueList(Reply):
    """Who has not acknowledged, the longest overdue first."""

    items: list[OverdueReply]
    next: str | None
    complete: bool


class Acknowledged(Reply):
    """How many copies were still open."""

    copies: int


def notice_reply(notice: Notice) -> NoticeReply:
    """The outward form of a notice."""
    return NoticeReply.model_validate(notice.model_dump(exclude={"recorded_by"}))


def delivery_reply(delivery: Delivery) -> DeliveryReply:
    """The outward form of a delivery."""
    return DeliveryReply.model_validate(delivery.model_dump(exclude={"recipient", "address", "acknowledged_by"}))


def overdue_reply(overdue: Overdue) -> OverdueReply:
    """The outward form of a copy that is overdue."""
    return OverdueReply.model_validate(overdue.model_dump())
