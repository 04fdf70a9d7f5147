"""Passing on: dry runs, releases, and the copies made."""

import hashlib
import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response

from broker.api.auth import Caller
from broker.api.deps import Allowed, KeyDep, OpaqueId, PageDep, ServicesDep, policy_of
from broker.api.problems import problem
from broker.api.schemas.releases import (
    DecisionReply,
    NewAcceptance,
    NewRelease,
    NotAcceptedReply,
    RefusalReply,
    ReleaseList,
    ReleaseReply,
    decision_reply,
    not_accepted_members,
    refusal_members,
    release_reply,
)
from broker.api.services import Services
from broker.api.strict_bodies import StrictRoute
from broker.kernel.ids import new_id
from broker.policy.question import Act
from broker.release.acceptance import NotAccepted
from broker.release.model import Direction, Release
from broker.release.service import Refused

router = APIRouter(route_class=StrictRoute, prefix="/v1", tags=["releases"])
REFUSAL: Final[dict[int | str, dict[str, Any]]] = {
    403: {"model": RefusalReply, "description": "Refused, with everything that stands against it"}
}

_NOT_ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": NotAcceptedReply, "description": "The recipient has not accepted the caveats of the copy"}
}


@router.post("/decisions")
async def ask_decision(
    body: NewRelease, caller: Annotated[Caller, Depends(Allowed(Act.DECISION_ASK))], held: ServicesDep
) -> DecisionReply:
    """What would be decided now. Takes no lock, promises nothing, and is recorded."""
    return decision_reply(await held.releases.dry_run(caller.actor, body.request(), policy_of(held)))


@router.post("/releases", status_code=201, response_model=ReleaseReply, responses=REFUSAL)
async def make_release(
    body: NewRelease,
    response: Response,
    caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_ASK))],
    key: KeyDep,
    held: ServicesDep,
) -> ReleaseReply | Response:
    """Pass an item on, if every owner's permission is on record."""
    answer = await held.releases.release(caller.actor, body.request(), policy_of(held), key, fingerprint_of(body))
    if isinstance(answer, Refused):
        return refusal(answer)
    response.headers["Location"] = f"/v1/releases/{answer.id}"
    return reply_of(answer, held)


@router.get("/releases")
async def list_releases(
    page: PageDep,
    caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_READ))],
    held: ServicesDep,
    direction: Annotated[Direction | None, Query()] = None,
) -> ReleaseList:
    """What the caller's agency has made or received, without content."""
    found = await held.releases.page(caller.actor, direction, page.after, page.one_more)
    shown, following = page.cut(found)
    items = [reply_of(one, held) for one in shown]
    return ReleaseList(items=items, next=following, complete=following is None)


@router.get("/releases/{release_id}")
async def read_release(
    release_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_READ))], held: ServicesDep
) -> ReleaseReply:
    """The record of a release, for the component that made it and for its recipient."""
    return reply_of(await held.releases.read(caller.actor, release_id), held)


@router.post("/releases/{release_id}/acceptance", status_code=201)
async def accept_caveats(
    body: NewAcceptance,
    release_id: OpaqueId,
    caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_ACCEPT))],
    held: ServicesDep,
) -> ReleaseReply:
    """The recipient accepts every caveat of its copy; only then is it shown the content."""
    return reply_of(await held.acceptances.accept(caller.actor, release_id, body.caveats), held)


# The record of a release is for auditors and liaisons too; its content is for those who may read items.
@router.get(
    "/releases/{release_id}/package",
    response_model=dict[str, Any],
    responses=REFUSAL | _NOT_ACCEPTED,
    dependencies=[Depends(Allowed(Act.ITEM_READ))],
)
async def read_package(
    release_id: OpaqueId,
    caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_READ))],
    reader: Annotated[Caller, Depends(Allowed(Act.ITEM_READ))],
    held: ServicesDep,
) -> dict[str, Any] | Response:
    """The copy. Permission is asked again first: it may have gone since. The recipient has accepted its caveats."""
    del reader  # The copy is content: who may read the record of a release alone, an auditor say, does not get it.
    answer = await held.releases.package(caller.actor, release_id)
    if isinstance(answer, Refused):
        return refusal(answer)
    return _not_accepted(answer.release, held) if isinstance(answer, NotAccepted) else answer


def reply_of(release: Release, held: Services) -> ReleaseReply:
    """The outward form of a release, with the caveats' texts of the policy at hand."""
    return release_reply(release, policy_of(held).bundle.caveats)


def _not_accepted(release: Release, held: Services) -> Response:
    members = not_accepted_members(release, policy_of(held).bundle.caveats)
    detail = "Accept every caveat listed here first; the record of the release lists them, too."
    title = "The caveats have not been accepted"
    return problem(409, "caveats-not-accepted", title, detail, occurrence=new_id("occ"), **members)


def refusal(refused: Refused) -> Response:
    """The problem document of a refused release."""
    members = refusal_members(refused.judgement, refused.told)
    owners = sorted({one["owner"] for one in members["missing"]})
    detail = "This may not be passed on; see `reasons`."
    if owners:
        detail += f" Permission would have to come from {' and '.join(owners)}; `permission_request` is ready to send."
    title = "The release is refused"
    return problem(403, "release-refused", title, detail, occurrence=new_id("occ"), **members)


def fingerprint_of(body: NewRelease) -> str:
    """A hash of all that is asked for."""
    return hashlib.sha256(json.dumps(body.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
