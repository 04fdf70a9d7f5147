"""Replies about messages to agencies."""

from pydantic import AwareDatetime

from broker.api.schemas.words import Reply
from broker.jobs.model import Happened
from broker.kernel.ids import AgencyId, NotificationId
from broker.notify.model import Notification, Waiting


class NotificationReply(Reply):
    """What happened, and to which ids; who asks for those is shown what is theirs to see."""

    id: NotificationId
    subject: Happened
    about: dict[str, str]
    at: AwareDatetime
    read_at: AwareDatetime | None


class NotificationList(Reply):
    """A page of messages."""

    items: list[NotificationReply]
    next: str | None
    complete: bool


class UndeliveredReply(Reply):
    """Messages that an agency's registered address has not taken yet."""

    agency: AgencyId
    undelivered: int
    oldest_at: AwareDatetime
    attempts: int
    last_fault: str | None


class UndeliveredList(Reply):
    """One entry for each agency with an address that something waits for."""

    items: list[UndeliveredReply]
    next: str | None
    complete: bool


def notification_reply(message: Notification) -> NotificationReply:
    """The outward form of a message."""
    return NotificationReply.model_validate(message.model_dump(exclude={"to", "attempts"}))


def waiting_reply(waiting: Waiting) -> UndeliveredReply:
    """The outward form of what waits."""
    return UndeliveredReply.model_validate(waiting.model_dump())
