"""Passing on: dry runs, releases, and the copies made."""

import hashlib
import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response

from broker.api.auth import Caller
from broker.api.deps import Allowed, KeyDep, OpaqueId, ServicesDep, policy_of
from broker.api.problems import problem
from broker.api.schemas.releases import (
    DecisionReply,
    NewRelease,
    RefusalReply,
    ReleaseReply,
    decision_reply,
    refusal_members,
    release_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.decision.service import Judgement
from broker.kernel.ids import new_id
from broker.policy.question import Act
from broker.release.service import Refused

router = APIRouter(route_class=StrictRoute, prefix="/v1", tags=["releases"])
_REFUSAL: Final[dict[int | str, dict[str, Any]]] = {
    403: {"model": RefusalReply, "description": "Refused, with everything that stands against it"}
}


@router.post("/decisions")
async def ask_decision(
    body: NewRelease, caller: Annotated[Caller, Depends(Allowed(Act.DECISION_ASK))], held: ServicesDep
) -> DecisionReply:
    """What would be decided now. Takes no lock, promises nothing, and is recorded."""
    return decision_reply(await held.releases.dry_run(caller.actor, body.request(), policy_of(held)))


@router.post("/releases", status_code=201, response_model=ReleaseReply, responses=_REFUSAL)
async def make_release(
    body: NewRelease,
    response: Response,
    caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_ASK))],
    key: KeyDep,
    held: ServicesDep,
) -> ReleaseReply | Response:
    """Pass an item on, if every owner's permission is on record."""
    answer = await held.releases.release(caller.actor, body.request(), policy_of(held), key, _fingerprint(body))
    if isinstance(answer, Refused):
        return _refusal(answer.judgement)
    response.headers["Location"] = f"/v1/releases/{answer.id}"
    return release_reply(answer)


@router.get("/releases/{release_id}")
async def read_release(
    release_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_READ))], held: ServicesDep
) -> ReleaseReply:
    """The record of a release, for the component that made it and for its recipient."""
    return release_reply(await held.releases.read(caller.actor, release_id))


# The record of a release is for auditors and liaisons too; its content is for those who may read items.
@router.get(
    "/releases/{release_id}/package",
    response_model=dict[str, Any],
    responses=_REFUSAL,
    dependencies=[Depends(Allowed(Act.ITEM_READ))],
)
async def read_package(
    release_id: OpaqueId,
    caller: Annotated[Caller, Depends(Allowed(Act.RELEASE_READ))],
    reader: Annotated[Caller, Depends(Allowed(Act.ITEM_READ))],
    held: ServicesDep,
) -> dict[str, Any] | Response:
    """The copy. Permission is asked again first: it may have gone since."""
    del reader  # The copy is content: who may read the record of a release alone, an auditor say, does not get it.
    answer = await held.releases.package(caller.actor, release_id)
    return _refusal(answer.judgement) if isinstance(answer, Refused) else answer


def _refusal(judgement: Judgement) -> Response:
    members = refusal_members(judgement)
    owners = sorted({one["owner"] for one in members["missing"]})
    detail = "This may not be passed on; see `reasons`."
    if owners:
        detail += f" Permission would have to come from {' and '.join(owners)}; `permission_request` is ready to send."
    title = "The release is refused"
    return problem(403, "release-refused", title, detail, occurrence=new_id("occ"), **members)


def _fingerprint(body: NewRelease) -> str:
    return hashlib.sha256(json.dumps(body.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
