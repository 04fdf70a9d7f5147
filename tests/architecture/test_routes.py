"""Every route is guarded: read from the application's own routes, so that a new one cannot be forgotten."""

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from broker.api.deps import Allowed, authenticate
from broker.api.routes import callbacks
from broker.api.strict_bodies import StrictRoute
from broker.app import bare_app
from broker.policy.question import Act

OPEN = {"/healthz", "/readyz", "/metrics"}
SIGNED = {"/v1/callbacks/{partner}"}


def routes_of(app: FastAPI) -> Iterator[APIRoute]:
    """Every route, also those of routers that are kept whole."""
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(inner := getattr(route, "original_router", None) or getattr(route, "router", None), APIRouter):
            waiting += inner.routes


def everything_it_depends_on(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from everything_it_depends_on(inner)


def unguarded(app: FastAPI) -> list[str]:
    """Routes that anybody could call, or anybody with a token."""
    found = []
    for route in routes_of(app):
        calls = list(everything_it_depends_on(route.dependant))
        guarded = authenticate in calls and any(isinstance(call, Allowed) for call in calls)
        if not guarded and route.path not in OPEN | SIGNED:
            found.append(route.path)
    return found


def test_every_route_asks_who_calls_and_whether_they_may() -> None:
    app = bare_app()
    described = set(app.openapi()["paths"])
    # All routes are seen here that the API's own statement names, or the test would show less than it says.
    assert {route.path for route in routes_of(app)} >= described
    assert unguarded(app) == []


def test_traitor_without_a_guard_is_caught() -> None:
    app = bare_app()

    @app.get("/v1/forgotten")
    async def forgotten() -> None: ...

    @app.get("/v1/half", dependencies=[Depends(authenticate)])
    async def half() -> None: ...

    assert sorted(unguarded(app)) == ["/v1/forgotten", "/v1/half"]


def test_every_act_that_is_guarded_for_is_one_of_the_policy() -> None:
    acts = {
        call.act
        for route in routes_of(bare_app())
        for call in everything_it_depends_on(route.dependant)
        if isinstance(call, Allowed)
    }
    assert acts <= set(Act)
    assert len(acts) > 15


def test_the_callback_verifies_its_signature() -> None:
    assert "verify" in callbacks.take_callback.__code__.co_names
    assert [route.path for route in routes_of(bare_app()) if route.path.startswith("/v1/callbacks")] == list(SIGNED)


def test_every_route_that_takes_json_takes_it_strictly() -> None:
    lax = [
        route.path
        for route in routes_of(bare_app())
        if route.body_field is not None and not isinstance(route, StrictRoute)
    ]
    assert lax == []


@pytest.mark.parametrize("name", sorted({route.name for route in routes_of(bare_app())}))
def test_a_route_says_what_it_does(name: str) -> None:
    assert all((route.description or "").strip() for route in routes_of(bare_app()) if route.name == name)
