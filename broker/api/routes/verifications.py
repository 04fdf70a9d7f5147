"""Verifying with the owner: components ask, owners answer."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, PageDep, ServicesDep
from broker.api.schemas.verifications import (
    NewVerification,
    NewVerificationRequest,
    VerificationList,
    VerificationReply,
    VerificationRequestList,
    VerificationRequestReply,
    request_reply,
    verification_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.kernel.ids import AgencyId
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1", tags=["verifications"])

Asking = Annotated[Caller, Depends(Allowed(Act.VERIFICATION_ASK))]
Answering = Annotated[Caller, Depends(Allowed(Act.VERIFICATION_ANSWER))]
Reading = Annotated[Caller, Depends(Allowed(Act.ITEM_READ))]
Listing = Annotated[Caller, Depends(Allowed(Act.VERIFICATION_READ))]


@router.post("/items/{item_id}/verification-requests", status_code=201)
async def request_verification(
    item_id: OpaqueId, body: NewVerificationRequest, caller: Asking, held: ServicesDep
) -> VerificationRequestReply:
    """Ask owners whether their part in an item is right."""
    owners = tuple(AgencyId(owner) for owner in body.owners)
    return request_reply(await held.verifications.ask(caller.actor, item_id, owners, body.note))


@router.get("/verification-requests")
async def list_verification_requests(page: PageDep, caller: Listing, held: ServicesDep) -> VerificationRequestList:
    """What the own agency is asked as owner; for others what their own component has asked."""
    found = await held.verifications.page(caller.actor, page.after, page.one_more)
    shown, following = page.cut(found)
    return VerificationRequestList(
        items=[request_reply(one) for one in shown], next=following, complete=following is None
    )


@router.post("/items/{item_id}/verifications", status_code=201)
async def verify(item_id: OpaqueId, body: NewVerification, caller: Answering, held: ServicesDep) -> VerificationReply:
    """Say whether the own agency's part in an item is right. What is not confirmed is passed on no more."""
    return verification_reply(await held.verifications.answer(caller.actor, item_id, body.outcome, body.note))


@router.get("/items/{item_id}/verifications")
async def list_verifications(item_id: OpaqueId, caller: Reading, held: ServicesDep) -> VerificationList:
    """What owners have said of an item that the caller may view."""
    found = await held.verifications.given(caller.actor, item_id)
    return VerificationList(items=[verification_reply(one) for one in found], next=None, complete=True)
