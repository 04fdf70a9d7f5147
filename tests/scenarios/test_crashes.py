"""What was accepted is done, whoever dies: the worker between two partners, the API right after its answer."""

import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.scenarios.fake_partner import FakePartner, Reply, candidate
from tests.scenarios.world import HIT, World, answered, fresh
from tests.support.programs import eventually


@pytest.fixture(autouse=True)
def _tame(fake: FakePartner) -> Iterator[None]:
    yield
    fake.behave = lambda _: Reply(body=[candidate()])


def searches_of(world: World, partner: str) -> dict[str, int]:
    """How often each transaction was asked for at a stand-in."""
    log = httpx.get(f"{world.stack.partners[partner]}/standin/log", trust_env=False).json()
    return {one["transactionId"]: one["calls"] for one in log["transactions"]}


def transactions(world: World, search: str) -> dict[str, str]:
    with world.stack.owner() as owner:
        rows = owner.execute("SELECT partner, transaction_id FROM search_leg WHERE search_id = %s", [search]).fetchall()
    return dict(rows)


def counted(world: World, search: str) -> dict[str, int]:
    """Calls that went out, as the audit has them."""
    entries = world.auditor.get("/v1/audit/entries", params={"subject": search, "tag": "search:leg:sent"}).json()[
        "items"
    ]
    found: dict[str, int] = {}
    for entry in entries:
        found[entry["detail"]["partner"]] = found.get(entry["detail"]["partner"], 0) + 1
    return found


def test_killed_between_two_partners_the_search_completes_and_each_partner_saw_one(
    uneasy: World, fake: FakePartner
) -> None:
    fake.behave = lambda _: Reply(200, [candidate()], after=3.0)
    before = set(searches_of(uneasy, "dos-ccd"))
    began = len(fake.calls)
    accepted = answered(uneasy.submit(uneasy.terms(uneasy.case(), deadline_seconds=60)), 202)["id"]
    # DOS has been asked, CBP has the call on its desk: now the worker dies.
    assert eventually(lambda: len(fake.calls) > began and set(searches_of(uneasy, "dos-ccd")) != before)
    old = uneasy.stack.kill_process("worker")
    fake.behave = lambda _: Reply(200, [candidate()])
    uneasy.stack.wait_for("worker", not_in=old)
    done = uneasy.finished(accepted)
    assert done["status"] == "complete", done
    ids = transactions(uneasy, accepted)
    assert {call.transaction for call in fake.calls[began:]} == {ids["cbp-atsp"]}
    assert len(fake.calls) - began >= 2
    assert set(searches_of(uneasy, "dos-ccd")) - before == {ids["dos-ccd"]}
    # Asked more than once, and one search each: in the register, in the report, and in what there is to look at.
    assert counted(uneasy, accepted)["cbp-atsp"] >= 2
    with uneasy.stack.owner() as owner:
        assert owner.execute("SELECT count(*) FROM item WHERE search_id = %s", [accepted]).fetchone() == (2,)
        assert owner.execute("SELECT count(*) FROM search_leg WHERE search_id = %s", [accepted]).fetchone() == (2,)


def test_killed_right_after_it_said_yes_the_search_still_completes(uneasy: World, fake: FakePartner) -> None:
    case = uneasy.case()
    began = len(fake.calls)
    accepted = answered(uneasy.submit(uneasy.terms(case, deadline_seconds=60), HIT, key=fresh()), 202)["id"]
    old = {name: uneasy.stack.kill_process(name) for name in ("api", "worker")}
    for name, numbers in old.items():
        uneasy.stack.wait_for(name, not_in=numbers)
    assert eventually(lambda: _ready(uneasy))
    time.sleep(0.2)
    done = _patiently(uneasy, accepted)
    assert done["status"] == "complete", done
    assert {call.transaction for call in fake.calls[began:]} == {transactions(uneasy, accepted)["cbp-atsp"]}


def _ready(world: World) -> bool:
    try:
        return httpx.get(f"{world.stack.url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _patiently(world: World, search: str) -> dict[str, object]:
    """The old connections of the client may have died with the API."""
    for _ in range(5):
        try:
            return world.finished(search)
        except httpx.HTTPError:
            time.sleep(0.5)
    return world.finished(search)


def test_what_was_not_accepted_leaves_nothing_behind(uneasy: World, fake: FakePartner) -> None:
    """The API dies while the upload is on its way: there is a search with all its parts, or none at all."""
    case = uneasy.case()
    old = uneasy.stack.kill_process("api")
    with suppress(httpx.HTTPError):
        uneasy.submit(uneasy.terms(case), HIT)
    uneasy.stack.wait_for("api", not_in=old)
    assert eventually(lambda: _ready(uneasy))
    with uneasy.stack.owner() as owner:
        counts = owner.execute(
            "SELECT count(*), count(p.search_id), (SELECT count(*) FROM search_leg l JOIN search t ON t.id = l.search_id"
            " WHERE t.case_id = %s) FROM search s LEFT JOIN probe p ON p.search_id = s.id WHERE s.case_id = %s",
            [case, case],
        ).fetchone()
    assert counts in ((0, 0, 0), (1, 1, 2))
    for _ in range(3):
        with suppress(httpx.HTTPError):
            uneasy.analyst.get("/v1/cases")
