"""Searches of the caller's component."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from broker.api.auth import Caller, day_of
from broker.api.deps import Allowed, KeyDep, OpaqueId, PageDep, ServicesDep, policy_of
from broker.api.multipart import read_search
from broker.api.schemas.searches import SearchBody, SearchList, SearchReply, search_reply
from broker.api.services import Services
from broker.api.strict_bodies import StrictRoute
from broker.kernel.errors import TooMany
from broker.policy.question import Act
from broker.search.model import CallerStanding, Search
from broker.search.probe import draw_anew

router = APIRouter(route_class=StrictRoute, prefix="/v1/searches", tags=["searches"])

_LONGEST_WAIT: Final = 60.0
_LONGEST_STREAM: Final = 900.0
"""Seconds after which a stream of events ends; who still wants to know asks again, from where it was."""
_HEARTBEAT_SECONDS: Final = 10.0
_DRAWING: Final = asyncio.Semaphore(2)
"""The largest probe takes some hundred megabytes while it is drawn anew; more at once would be no faster."""
_MULTIPART: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["request", "probe"],
                    "properties": {
                        "request": {"$ref": "#/components/schemas/SearchBody"},
                        "probe": {"type": "string", "format": "binary", "description": "JPEG, PNG or WebP"},
                    },
                },
                "encoding": {"request": {"contentType": "application/json"}},
            }
        },
    }
}

_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events of type `search`"},
    204: {"description": "`Last-Event-ID` names the last event there is"},
}


@router.post("", status_code=202, openapi_extra=_MULTIPART)
async def submit_search(
    request: Request,
    response: Response,
    caller: Annotated[Caller, Depends(Allowed(Act.SEARCH_SUBMIT))],
    key: KeyDep,
    held: ServicesDep,
) -> SearchReply:
    """Ask partners about a probe. What is answered here is committed."""
    body, photo = await read_search(request)
    async with _DRAWING:
        probe = await asyncio.to_thread(draw_anew, photo)
    standing = CallerStanding(
        training_valid=caller.training_valid_on(day_of(held.clock.now())), partners=frozenset(caller.partners)
    )
    search = await held.searches.submit(
        caller.actor, standing, body.terms(), probe, policy_of(held), key, _fingerprint(body, probe.submitted_sha256)
    )
    response.headers["Location"] = f"/v1/searches/{search.id}"
    return search_reply(search)


@router.get("")
async def list_searches(
    page: PageDep, caller: Annotated[Caller, Depends(Allowed(Act.SEARCH_READ))], held: ServicesDep
) -> SearchList:
    """The component's searches."""
    found = await held.searches.page(caller.actor, page.after, page.one_more)
    shown, following = page.cut(found)
    return SearchList(items=[search_reply(one) for one in shown], next=following, complete=following is None)


@router.get("/{search_id}")
async def read_search_status(
    search_id: OpaqueId,
    caller: Annotated[Caller, Depends(Allowed(Act.SEARCH_READ))],
    held: ServicesDep,
    wait: Annotated[float, Query(ge=0, le=86_400, allow_inf_nan=False)] = 0.0,
) -> SearchReply:
    """A search as it stands; with `wait`, as soon as every leg is final, or after that many seconds, 60 at most, or at once
    where the caller waits for fifty answers already.
    """
    search = await held.searches.read(caller.actor, search_id)
    clock = asyncio.get_running_loop().time
    ends = clock() + min(wait, _LONGEST_WAIT)
    with held.watch.seat(caller.actor) as granted:
        while granted and not (_finished(search) or held.watch.closed) and (left := ends - clock()) > 0:
            if await held.watch.news(search, left):
                search = await held.searches.glance(caller.actor, search_id) or search
    return search_reply(search)


@router.get("/{search_id}/events", response_class=Response, responses=_STREAM)
async def follow_search(
    search_id: OpaqueId,
    caller: Annotated[Caller, Depends(Allowed(Act.SEARCH_READ))],
    held: ServicesDep,
    last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> Response:
    """The search as server-sent events: one `search` event at once, and one whenever a leg has changed, until every
    leg is final, the token has expired, or fifteen minutes are over. Each event is the whole search, so `Last-Event-ID`
    leaves out what has been seen; 204 if that was the last one. 429 where the caller has fifty of them open already.
    """
    search = await held.searches.read(caller.actor, search_id)
    if _finished(search) and _event_id(search_reply(search).model_dump_json()) == last:
        return Response(status_code=204)
    if not held.watch.room(caller.actor):
        raise TooMany("close a stream before you open another one")
    return StreamingResponse(
        _events(search, caller, held, last), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


@router.post("/{search_id}/cancel")
async def cancel_search(
    search_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.SEARCH_CANCEL))], held: ServicesDep
) -> SearchReply:
    """End every leg without an answer; what partners still send is ignored."""
    return search_reply(await held.searches.cancel(caller.actor, search_id))


async def _events(search: Search, caller: Caller, held: Services, said: str | None) -> AsyncIterator[str]:
    with held.watch.seat(caller.actor) as granted:
        # Those that came in the same moment may have taken the last place.
        if granted:
            async for piece in _told(search, caller, held, said):
                yield piece


async def _told(search: Search, caller: Caller, held: Services, said: str | None) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    ends = clock() + min(_LONGEST_STREAM, caller.seconds_left(held.clock.now()))
    yield "retry: 1000\n\n"
    while True:
        text = search_reply(search).model_dump_json()
        event = _event_id(text)
        if event != said:
            said = event
            yield f"id: {event}\nevent: search\ndata: {text}\n\n"
        left = ends - clock()
        # When this process is about to end the caller comes again, and is answered by another one.
        if _finished(search) or left <= 0 or held.watch.closed:
            return
        if await held.watch.news(search, min(left, _HEARTBEAT_SECONDS)):
            search = await held.searches.glance(caller.actor, search.id) or search
        else:
            # A comment, so that nobody on the way takes the silence for the end.
            yield ": nothing new\n\n"


def _event_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _finished(search: Search) -> bool:
    return all(leg.state.final for leg in search.legs)


def _fingerprint(body: SearchBody, probe_sha256: str) -> str:
    canonical = json.dumps(body.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(f"{canonical}\n{probe_sha256}".encode()).hexdigest()
