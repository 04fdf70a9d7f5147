"""A late answer counts when the partner signed it, for the task that was given, once."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from broker.partners.callbacks import SIGNATURE_HEADER, sign
from tests.scenarios.fake_partner import Call, FakePartner, Reply, candidate
from tests.scenarios.world import World, answered

TASK = "task-1234"


@pytest.fixture(autouse=True)
def _tame(fake: FakePartner) -> Iterator[None]:
    fake.behave = later
    yield
    fake.behave = lambda _: Reply(body=[candidate()])


def later(call: Call) -> Reply:
    """Takes the search, and says that it is not done yet for as long as it is asked."""
    if call.path.startswith("/v1/identify/"):
        return Reply(202, {"taskId": TASK})
    return Reply(200, b'"PENDING"')


def pending(world: World, fake: FakePartner, seconds: int = 25) -> tuple[str, str]:
    """A search that waits for its answer; its id and its transaction id."""
    accepted = answered(world.submit(world.terms(world.case(), partners=["cbp-atsp"], deadline_seconds=seconds)), 202)
    deadline = time.monotonic() + 20
    while leg(world, accepted["id"])["state"] != "pending":
        assert time.monotonic() < deadline, leg(world, accepted["id"])
        time.sleep(0.05)
    return accepted["id"], fake.transactions()[-1]


def leg(world: World, search: str) -> dict[str, Any]:
    found: dict[str, Any] = answered(world.analyst.get(f"/v1/searches/{search}"), 200)["legs"][0]
    return found


def deliver(
    world: World,
    transaction: str,
    *,
    task: str = TASK,
    body: Any = None,
    partner: str = "cbp-atsp",
    secret: bytes | None = None,
    at: datetime | None = None,
    target: str | None = None,
    header: str | None = None,
    raw_query: str | None = None,
) -> httpx.Response:
    """Send an answer as the partner would, or not quite as it would."""
    content = json.dumps([candidate()] if body is None else body).encode()
    query = raw_query if raw_query is not None else f"transactionId={transaction}&taskId={task}"
    path = f"/v1/callbacks/{partner}?{query}"
    key = secret if secret is not None else (world.stack.home / "keys" / "partner-cbp-atsp.key").read_bytes()
    signature = (
        header
        if header is not None
        else sign(key, method="POST", target=target or path, body=content, at=at or datetime.now(UTC))
    )
    headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature}
    return world.stack.caller().post(path, content=content, headers=headers if signature else {})


def test_a_signed_answer_ends_the_leg_once(uneasy: World, fake: FakePartner) -> None:
    search, transaction = pending(uneasy, fake)
    assert deliver(uneasy, transaction).status_code == 204
    ended = leg(uneasy, search)
    assert ended["state"] == "answered"
    # The same again, and another answer, are no news.
    assert deliver(uneasy, transaction).status_code == 204
    assert deliver(uneasy, transaction, body=[candidate(1), candidate(2)]).status_code == 204
    assert leg(uneasy, search) == ended
    item = answered(uneasy.analyst.get(f"/v1/items/{ended['item']}"), 200)
    assert len(item["content"]["candidates"]) == 1
    with uneasy.stack.owner() as owner:
        assert owner.execute("SELECT count(*) FROM item WHERE search_id = %s", [search]).fetchone() == (1,)


def test_an_answer_that_is_not_shown_to_be_the_partner_s_is_401_and_recorded(uneasy: World, fake: FakePartner) -> None:
    search, transaction = pending(uneasy, fake)
    dos = (uneasy.stack.home / "keys" / "partner-dos-ccd.key").read_bytes()
    path = f"/v1/callbacks/cbp-atsp?transactionId={transaction}&taskId={TASK}"
    wrong = [
        deliver(uneasy, transaction, header=""),
        deliver(uneasy, transaction, header="t=1,v1=" + "0" * 64),
        deliver(uneasy, transaction, header="nonsense"),
        deliver(uneasy, transaction, secret=b"guessed"),
        deliver(uneasy, transaction, secret=dos),
        deliver(uneasy, transaction, at=datetime.now(UTC) - timedelta(minutes=6)),
        deliver(uneasy, transaction, at=datetime.now(UTC) + timedelta(minutes=6)),
        deliver(uneasy, transaction, target=path.replace(TASK, "other")),
        deliver(uneasy, transaction, target=path.replace("cbp-atsp", "dos-ccd")),
        deliver(uneasy, transaction, partner="unheard-of"),
        uneasy.analyst.post(path, json=[candidate()]),
    ]
    assert {one.status_code for one in wrong} == {401}
    assert len({one.json()["detail"] for one in wrong}) == 1
    assert leg(uneasy, search)["state"] == "pending"
    entries = uneasy.auditor.get("/v1/audit/entries", params={"tag": "partner:callback:refused"}).json()["items"]
    assert len(entries) >= 9
    assert deliver(uneasy, transaction).status_code == 204


def test_an_answer_to_something_else_is_404(uneasy: World, fake: FakePartner) -> None:
    search, transaction = pending(uneasy, fake)
    for wrong in ("txn_" + "a" * 26, "x", "%00", "txn_%00", transaction.upper(), transaction + "a", "%ed%a0%80"):
        assert deliver(uneasy, wrong).status_code == 404, wrong
    for task in ("another", TASK.upper(), TASK + "1", "%00"):
        assert deliver(uneasy, transaction, task=task).status_code == 404
    for query in (
        f"transactionId={transaction}",
        f"taskId={TASK}",
        f"transactionId={transaction}&taskId={TASK}&taskId=x",
    ):
        assert deliver(uneasy, transaction, raw_query=query).status_code == 422
    assert leg(uneasy, search)["state"] == "pending"
    assert deliver(uneasy, transaction).status_code == 204


def test_a_callback_that_lies_about_the_owner_is_quarantined_too(uneasy: World, fake: FakePartner) -> None:
    search, transaction = pending(uneasy, fake)
    assert deliver(uneasy, transaction, body=[candidate(1, owner="DOS")]).status_code == 204
    assert leg(uneasy, search) | {"reason": None} == {
        "partner": "cbp-atsp",
        "state": "quarantined",
        "reason": None,
        "refusals": [],
        "item": None,
    }


def test_a_callback_that_comes_after_the_deadline_is_kept_and_says_so(uneasy: World, fake: FakePartner) -> None:
    search, transaction = pending(uneasy, fake, seconds=3)
    ended = uneasy.finished(search)
    assert (ended["status"], ended["legs"][0]["state"], ended["legs"][0]["item"]) == ("incomplete", "timed_out", None)
    assert [deliver(uneasy, transaction).status_code for _ in range(2)] == [204, 204]
    late = uneasy.finished(search)
    assert (late["status"], late["missing"]) == ("complete", [])
    assert (late["legs"][0]["state"], late["legs"][0]["reason"]) == ("answered", "after the deadline")
    item = answered(uneasy.analyst.get(f"/v1/items/{late['legs'][0]['item']}"), 200)
    assert item["owners"] == ["CBP"]


def test_a_partner_that_answers_by_callback_only_is_heard(uneasy: World) -> None:
    """The invented DOS system here keeps its candidates for the callback, and the status is a bare word."""
    done = uneasy.searched(uneasy.terms(uneasy.case(), partners=["dos-ccd"], deadline_seconds=25))
    found = done["legs"][0]
    assert found["state"] == "answered"
    assert answered(uneasy.analyst.get(f"/v1/items/{found['item']}"), 200)["content"]["candidates"]
