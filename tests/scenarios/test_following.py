"""Who waits for a search is told how its legs stand, until all are final; and who runs the service, how partners are."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.scenarios.fake_partner import FakePartner, Reply, candidate
from tests.scenarios.world import World, answered, refused


@pytest.fixture(autouse=True)
def _tame(fake: FakePartner) -> Iterator[None]:
    yield
    fake.behave = lambda _: Reply(body=[candidate()])


def events(client: httpx.Client, search: str, **headers: str) -> list[dict[str, str]]:
    """Every event of a stream until it ends, as a browser would read it."""
    found: list[dict[str, str]] = []
    with client.stream("GET", f"/v1/searches/{search}/events", headers=headers) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in stream.iter_lines():
            name, _, value = line.partition(":")
            if line == "" and "data" in fields:
                found.append(fields)
            fields = {} if line == "" else {**fields, name: value.strip()} if name else fields
    return found


def states(event: dict[str, str]) -> dict[str, str]:
    return {leg["partner"]: leg["state"] for leg in json.loads(event["data"])["legs"]}


def submitted(world: World, **changes: Any) -> str:
    return str(answered(world.submit(world.terms(world.case(), **({"deadline_seconds": 20} | changes))), 202)["id"])


def test_every_change_of_a_leg_is_told_until_all_are_final(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [candidate()], after=2.0)
    search = submitted(uneasy)
    seen = events(uneasy.analyst, search)
    assert {one["event"] for one in seen} == {"search"}
    assert states(seen[0])["cbp-atsp"] in ("queued", "sent")
    assert states(seen[-1]) == {"cbp-atsp": "answered", "dos-ccd": "answered"}
    # DOS was there first, and that was told before CBP had answered: a part that says that it is one.
    part = next(one for one in seen if states(one)["dos-ccd"] == "answered")
    assert json.loads(part["data"])["missing"] == ["cbp-atsp"]
    assert json.loads(part["data"])["status"] == "running"
    assert json.loads(seen[-1]["data"])["missing"] == []
    assert len({one["id"] for one in seen}) == len(seen)


def test_who_comes_back_is_told_what_is_new(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [candidate()], after=2.5)
    search = submitted(uneasy)
    first: dict[str, str] = {}
    with uneasy.analyst.stream("GET", f"/v1/searches/{search}/events") as stream:
        for line in stream.iter_lines():
            name, _, value = line.partition(":")
            first |= {name: value.strip()}
            if name == "data":
                break
    again = events(uneasy.analyst, search, **{"Last-Event-ID": first["id"]})
    assert first["id"] not in {one["id"] for one in again}
    assert states(again[-1])["cbp-atsp"] == "answered"
    done = uneasy.analyst.get(f"/v1/searches/{search}/events", headers={"Last-Event-ID": again[-1]["id"]})
    assert (done.status_code, done.content) == (204, b"")
    assert [one["id"] for one in events(uneasy.analyst, search)] == [again[-1]["id"]]
    refused(uneasy.as_("ICE-ERO", "analyst").get(f"/v1/searches/{search}/events"), 404)


def test_a_stream_ends_with_the_token(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [candidate()], after=8.0)
    search = submitted(uneasy)
    # A token is taken for half a minute beyond its time, for clocks that differ.
    short = uneasy.stack.client("ana.analyst", "ICE-HSI", ["analyst"], lifetime=timedelta(seconds=-27))
    began = time.monotonic()
    seen = events(short, search)
    assert time.monotonic() - began < 5
    assert states(seen[-1])["cbp-atsp"] != "answered"


def test_many_may_wait_for_one_search(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [candidate()], after=2.0)
    search = submitted(uneasy)
    ended: list[list[dict[str, str]]] = []

    def follow() -> None:
        with httpx.Client(base_url=uneasy.stack.url, headers=uneasy.analyst.headers, timeout=30) as client:
            ended.append(events(client, search))

    threads = [threading.Thread(target=follow) for _ in range(20)]
    for one in threads:
        one.start()
    waited = answered(uneasy.analyst.get(f"/v1/searches/{search}", params={"wait": 20}), 200)
    for one in threads:
        one.join(20)
    assert waited["status"] == "complete"
    assert [states(one[-1])["cbp-atsp"] for one in ended] == ["answered"] * 20


def test_who_runs_the_service_sees_that_a_partner_is_down_and_nobody_else_does(
    uneasy: World, fake: FakePartner
) -> None:
    def line(who: httpx.Client) -> dict[str, Any] | None:
        partners = answered(who.get("/v1/partners"), 200)["items"]
        return next(dict(one["line"]) if one["line"] else None for one in partners if one["id"] == "cbp-atsp")

    fake.behave = lambda _: Reply(503, b"")
    for _ in range(8):
        submitted(uneasy, partners=["cbp-atsp"], deadline_seconds=3)
        time.sleep(0.3)
    admin = uneasy.as_("DHS", "admin")
    deadline = time.monotonic() + 10
    while (seen := line(uneasy.auditor)) is None or seen["circuit"] == "closed":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert seen == line(admin) or line(admin) is not None
    assert set(seen) == {"circuit", "failures", "next_trial_at"}
    assert line(uneasy.analyst) is None
    fake.behave = lambda _: Reply(200, [candidate()])
    done = uneasy.finished(submitted(uneasy, partners=["cbp-atsp"], deadline_seconds=40))
    assert done["legs"][0]["state"] == "answered"
