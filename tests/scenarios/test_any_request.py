"""Requests made from the API's own statement, in order and out of it: never an error of ours, always a typed answer.

Schemathesis draws them from ``openapi/broker.yaml``; who calls has every role, so that no answer stops at a 403.
"""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckContext

from tests.scenarios.world import World, fresh
from tests.support.programs import ROOT

DEEP = bool(os.environ.get("DEEP_PROPERTIES"))
SCHEMA = schemathesis.openapi.from_path(ROOT / "openapi" / "broker.yaml")
# A stream of events ends when its search does, and a search that nobody answers takes its time.
QUICK = SCHEMA.exclude(path_regex="/events$")


@schemathesis.check
def typed_answer(_ctx: CheckContext, response: Any, case: Any) -> None:
    """Every refusal is a problem document, and none is an error of ours."""
    del case
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        kind = response.headers.get("content-type", [""])
        kind = kind[0] if isinstance(kind, list) else kind
        assert kind == "application/problem+json", (response.status_code, kind)
        problem = response.json()
        assert problem["status"] == response.status_code
        assert problem["type"].startswith("urn:interagency-broker:problem:")


@pytest.fixture(scope="module")
def caller(world: World) -> str:
    everything = ["analyst", "reviewer", "release_officer", "policy_author", "auditor"]
    return f"Bearer {world.stack.token('ana.every-role', 'ICE-HSI', everything)}"


@QUICK.parametrize()
@settings(
    max_examples=1000 if DEEP else 12,
    deadline=None,
    derandomize=not DEEP,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_request(case: Any, world: World, caller: str) -> None:
    headers = {"Authorization": caller}
    if case.method == "POST":
        headers["Idempotency-Key"] = fresh()
    case.call_and_validate(base_url=world.stack.url, headers=headers, checks=[typed_answer], timeout=30)
