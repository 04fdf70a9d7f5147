"""Taking back: owners announce, recipients are told and acknowledge."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, PageDep, ServicesDep
from broker.api.schemas.recall import (
    Acknowledged,
    DeliveryList,
    NewNotice,
    NoticeList,
    NoticeReply,
    OverdueList,
    delivery_reply,
    notice_reply,
    overdue_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1", tags=["recall"])

Recalling = Annotated[Caller, Depends(Allowed(Act.ITEM_RECALL))]
Reading = Annotated[Caller, Depends(Allowed(Act.NOTICE_READ))]
Acknowledging = Annotated[Caller, Depends(Allowed(Act.NOTICE_ACKNOWLEDGE))]


@router.post("/items/{item_id}/notices", status_code=201)
async def announce(item_id: OpaqueId, body: NewNotice, caller: Recalling, held: ServicesDep) -> NoticeReply:
    """Say that the own agency's information is disputed, corrected or withdrawn. Passing on stops with the answer."""
    notice = await held.recall.announce(caller.actor, item_id, body.kind, body.text, body.acknowledge_by)
    return notice_reply(notice)


@router.get("/notices")
async def list_notices(page: PageDep, caller: Reading, held: ServicesDep) -> NoticeList:
    """What the own agency has announced; for an auditor everything."""
    found = await held.recall.page(caller.actor, page.after, page.one_more)
    shown, following = page.cut(found)
    return NoticeList(items=[notice_reply(one) for one in shown], next=following, complete=following is None)


@router.get("/notices/received")
async def list_received_notices(caller: Reading, held: ServicesDep) -> DeliveryList:
    """What the own agency has to be told about what it received, a thousand copies at most.

    Those that it has still to acknowledge come first, and of these the newest.
    """
    found = await held.recall.inbox(caller.actor, 1001)
    return DeliveryList(items=[delivery_reply(one) for one in found[:1000]], next=None, complete=len(found) <= 1000)


@router.get("/notices/overdue")
async def list_overdue_notices(caller: Reading, held: ServicesDep) -> OverdueList:
    """Who has not acknowledged a notice of the own agency in time; for an auditor everybody's. A thousand at most."""
    found = await held.overdue.page(caller.actor, 1001)
    return OverdueList(items=[overdue_reply(one) for one in found[:1000]], next=None, complete=len(found) <= 1000)


@router.post("/notices/{notice_id}/acknowledge")
async def acknowledge(notice_id: OpaqueId, caller: Acknowledging, held: ServicesDep) -> Acknowledged:
    """The own agency has read it, for every copy it holds."""
    return Acknowledged(copies=await held.recall.acknowledge(caller.actor, notice_id))


@router.post("/notices/{notice_id}/lift")
async def lift(notice_id: OpaqueId, caller: Recalling, held: ServicesDep) -> NoticeReply:
    """Take a notice back; grants that it suspended hold again."""
    return notice_reply(await held.recall.lift(caller.actor, notice_id))
