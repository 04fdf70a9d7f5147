"""An agency's messages, for its own people; and, for those who keep the service running, what could not be brought."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, PageDep, ServicesDep
from broker.api.schemas.notifications import (
    NotificationList,
    NotificationReply,
    UndeliveredList,
    notification_reply,
    waiting_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1/notifications", tags=["notifications"])

Reading = Annotated[Caller, Depends(Allowed(Act.NOTIFICATION_READ))]


@router.get("")
async def list_notifications(
    page: PageDep, caller: Reading, held: ServicesDep, unread: Annotated[Literal["true", "false"], Query()] = "false"
) -> NotificationList:
    """The own agency's messages that the caller's role may know of, oldest first; with `unread` those nobody read."""
    found = await held.inbox.page(caller.actor, page.after, page.one_more, unread=unread == "true")
    shown, following = page.cut(found)
    return NotificationList(
        items=[notification_reply(one) for one in shown], next=following, complete=following is None
    )


@router.get("/undelivered")
async def list_undelivered(
    caller: Annotated[Caller, Depends(Allowed(Act.SERVICE_READ))], held: ServicesDep
) -> UndeliveredList:
    """For each agency with a registered address: how many messages it has not taken yet, and why."""
    del caller
    waiting = await held.inbox.waiting()
    return UndeliveredList(items=[waiting_reply(one) for one in waiting], next=None, complete=True)


@router.post("/{notification_id}/read")
async def read_notification(notification_id: OpaqueId, caller: Reading, held: ServicesDep) -> NotificationReply:
    """Somebody of the own agency has read it."""
    return notification_reply(await held.inbox.read(caller.actor, notification_id))
