"""Releases that wait for a permission, those that could not wait, and what hangs on a grant."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from broker.api.auth import Caller
from broker.api.deps import Allowed, KeyDep, OpaqueId, PageDep, ServicesDep
from broker.api.routes.releases import REFUSAL, fingerprint_of, refusal, reply_of
from broker.api.schemas.held import (
    ExigentList,
    ExigentReply,
    HeldList,
    HeldReply,
    ImpactReply,
    NewHeldRelease,
    Ratification,
    exigent_reply,
    held_reply,
    impact_reply,
)
from broker.api.schemas.releases import ReleaseReply
from broker.api.strict_bodies import StrictRoute
from broker.policy.question import Act
from broker.release.held.model import HeldRelease
from broker.release.service import Refused

router = APIRouter(route_class=StrictRoute, prefix="/v1", tags=["releases"])
Asking = Annotated[Caller, Depends(Allowed(Act.RELEASE_ASK))]
Reading = Annotated[Caller, Depends(Allowed(Act.RELEASE_READ))]
_MADE: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": ReleaseReply, "description": "It is permitted now, and was released"}
}


@router.post("/releases/held", status_code=202, response_model=HeldReply, responses={**REFUSAL, **_MADE})
async def hold_release(body: NewHeldRelease, caller: Asking, key: KeyDep, held: ServicesDep) -> Response:
    """Release now if that is permitted; else hold it until the last permission arrives, and decide it anew then.

    What no permission could cure is refused at once.
    """
    answer = await held.held_releases.hold(caller.actor, body.request(), body.expires_at, key, fingerprint_of(body))
    if isinstance(answer, Refused):
        return refusal(answer)
    if isinstance(answer, HeldRelease):
        where = {"Location": f"/v1/releases/held/{answer.id}"}
        return JSONResponse(held_reply(answer).model_dump(mode="json"), 202, headers=where)
    where = {"Location": f"/v1/releases/{answer.id}"}
    return JSONResponse(reply_of(answer, held).model_dump(mode="json"), 201, headers=where)


@router.get("/releases/held")
async def list_held(page: PageDep, caller: Reading, held: ServicesDep) -> HeldList:
    """Held releases of the caller's component."""
    shown, following = page.cut(await held.held_releases.page(caller.actor, page.after, page.one_more))
    return HeldList(items=[held_reply(one) for one in shown], next=following, complete=following is None)


@router.get("/releases/held/{held_id}")
async def read_held(held_id: OpaqueId, caller: Reading, held: ServicesDep) -> HeldReply:
    """One of them, with what is missing now."""
    return held_reply(await held.held_releases.read(caller.actor, held_id))


@router.post("/releases/held/{held_id}/withdraw")
async def withdraw_held(held_id: OpaqueId, caller: Asking, held: ServicesDep) -> HeldReply:
    """Take it back. One that was released meanwhile is released."""
    return held_reply(await held.held_releases.withdraw(caller.actor, held_id))


@router.post("/releases/{release_id}/ratification")
async def ratify(
    body: Ratification,
    release_id: OpaqueId,
    caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_RATIFY))],
    held: ServicesDep,
) -> ExigentReply:
    """An owner's word about an exigent release, afterwards. A refusal takes the copy back."""
    return exigent_reply(await held.ratifications.answer(caller.actor, release_id, body.state, body.note))


@router.get("/exigent-releases")
async def list_exigent(page: PageDep, caller: Reading, held: ServicesDep) -> ExigentList:
    """Exigent releases: for an owner's officers those on which they have to answer, for others the own component's."""
    shown, following = page.cut(await held.ratifications.page(caller.actor, page.after, page.one_more))
    return ExigentList(items=[exigent_reply(one) for one in shown], next=following, complete=following is None)


@router.get("/admin/grants/{grant_id}/impact")
async def impact(
    grant_id: OpaqueId,
    page: PageDep,
    caller: Annotated[Caller, Depends(Allowed(Act.GRANT_IMPACT))],
    held: ServicesDep,
    after_held: Annotated[str, Query(max_length=100, pattern=r"^[a-z0-9_]*$")] = "",
) -> ImpactReply:
    """What hangs on a grant: releases that relied on it, held ones that would die with it, agencies to tell."""
    found = await held.impacts.of(caller.actor, grant_id, page.after, after_held, page.one_more)
    return impact_reply(found, page.limit)
