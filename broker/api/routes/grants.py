"""The register of permission. Only owners speak for owners."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, PageDep, ServicesDep, policy_of
from broker.api.schemas.grants import (
    ErrorReply,
    GrantList,
    GrantReply,
    NewGrant,
    Revocation,
    error_reply,
    grant_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1/admin/grants", tags=["grants"])


@router.post("", status_code=201)
async def record_grant(
    body: NewGrant, caller: Annotated[Caller, Depends(Allowed(Act.GRANT_RECORD))], held: ServicesDep
) -> GrantReply:
    """Record what an owner permits. A liaison's record, and a standing grant, wait for a second person."""
    grant = await held.grants.record(caller.actor, body.terms(), policy_of(held))
    return grant_reply(await held.grants.entry(grant))


@router.get("")
async def list_grants(
    page: PageDep, caller: Annotated[Caller, Depends(Allowed(Act.GRANT_READ))], held: ServicesDep
) -> GrantList:
    """The owner's grants; for a liaison those recorded by its agency; for an auditor all."""
    found = await held.grants.page(caller.actor, page.after, page.one_more)
    shown, following = page.cut(found)
    return GrantList(items=[grant_reply(one) for one in shown], next=following, complete=following is None)


@router.get("/{grant_id}")
async def read_grant(
    grant_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.GRANT_READ))], held: ServicesDep
) -> GrantReply:
    """One grant."""
    return grant_reply(await held.grants.read(caller.actor, grant_id))


@router.post("/{grant_id}/confirm")
async def confirm_grant(
    grant_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.GRANT_CONFIRM))], held: ServicesDep
) -> GrantReply:
    """The second person's word. Where the grant answers a permission request, that is answered by it."""
    grant = await held.answers.confirm(caller.actor, grant_id, policy_of(held))
    return grant_reply(await held.grants.entry(grant))


@router.post("/{grant_id}/revoke")
async def revoke_grant(
    grant_id: OpaqueId,
    body: Revocation,
    caller: Annotated[Caller, Depends(Allowed(Act.GRANT_REVOKE))],
    held: ServicesDep,
) -> GrantReply:
    """End a grant. When this has answered, no later release relies on it."""
    agencies = policy_of(held).bundle.agencies
    grant = await held.endings.revoke(caller.actor, grant_id, body.reason, agencies)
    return grant_reply(await held.grants.entry(grant))


@router.post("/{grant_id}/supersede", status_code=201)
async def supersede_grant(
    grant_id: OpaqueId,
    body: NewGrant,
    caller: Annotated[Caller, Depends(Allowed(Act.GRANT_SUPERSEDE))],
    held: ServicesDep,
) -> GrantReply:
    """Put a grant with these terms in the place of one of the same owner. When this has answered, no later release
    relies on the old one, even where the new one waits for a second person.
    """
    grant = await held.endings.supersede(caller.actor, grant_id, body.terms(), policy_of(held))
    return grant_reply(await held.grants.entry(grant))


@router.post("/{grant_id}/entered-in-error")
async def enter_grant_in_error(
    grant_id: OpaqueId,
    body: Revocation,
    caller: Annotated[Caller, Depends(Allowed(Act.GRANT_ENTER_IN_ERROR))],
    held: ServicesDep,
) -> ErrorReply:
    """End a grant and say that it never was a permission. The answer names the releases that relied on it."""
    agencies = policy_of(held).bundle.agencies
    grant = await held.endings.enter_in_error(caller.actor, grant_id, body.reason, agencies)
    return error_reply(await held.grants.entry(grant), await held.reliance.shown(caller.actor, grant))
