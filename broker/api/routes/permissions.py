"""Asking owners for permission, and their answers."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, PageDep, ServicesDep, policy_of
from broker.api.schemas.permissions import (
    AnswerBody,
    InformationBody,
    NewPermissionRequest,
    PermissionRequestList,
    PermissionRequestReply,
    permission_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1/permission-requests", tags=["permission requests"])

Asking = Annotated[Caller, Depends(Allowed(Act.PERMISSION_ASK))]
Reading = Annotated[Caller, Depends(Allowed(Act.PERMISSION_READ))]
Deciding = Annotated[Caller, Depends(Allowed(Act.PERMISSION_DECIDE))]


@router.post("", status_code=201)
async def ask_permission(body: NewPermissionRequest, caller: Asking, held: ServicesDep) -> PermissionRequestReply:
    """Ask every owner that is named; the draft in a refusal can be sent as it is."""
    return permission_reply(await held.permissions.ask(caller.actor, body.question(), policy_of(held)))


@router.get("")
async def list_permission_requests(page: PageDep, caller: Reading, held: ServicesDep) -> PermissionRequestList:
    """The component's requests; for an owner's officer those with a part for the own agency."""
    found = await held.permissions.page(caller.actor, page.after, page.one_more, policy_of(held).bundle.agencies)
    shown, following = page.cut(found)
    return PermissionRequestList(
        items=[permission_reply(one) for one in shown], next=following, complete=following is None
    )


@router.get("/{request_id}")
async def read_permission_request(request_id: OpaqueId, caller: Reading, held: ServicesDep) -> PermissionRequestReply:
    """One request. An owner's officer who reads it has thereby acknowledged it."""
    return permission_reply(await held.permissions.read(caller.actor, request_id, policy_of(held).bundle.agencies))


@router.post("/{request_id}/decision")
async def answer_permission_request(
    request_id: OpaqueId, body: AnswerBody, caller: Deciding, held: ServicesDep
) -> PermissionRequestReply:
    """An owner's answer to its own part. One that grants creates the grant.

    A liaison's answer counts when a second liaison has confirmed that grant; until then the part stays open.
    """
    return permission_reply(await held.answers.answer(caller.actor, request_id, body.answer(), policy_of(held)))


@router.post("/{request_id}/information")
async def inform_owners(
    request_id: OpaqueId, body: InformationBody, caller: Asking, held: ServicesDep
) -> PermissionRequestReply:
    """Answer owners that asked back."""
    return permission_reply(await held.permissions.inform(caller.actor, request_id, body.text))


@router.post("/{request_id}/withdraw")
async def withdraw_permission_request(
    request_id: OpaqueId, caller: Asking, held: ServicesDep
) -> PermissionRequestReply:
    """Take back what no owner has answered yet."""
    return permission_reply(await held.permissions.withdraw(caller.actor, request_id))
