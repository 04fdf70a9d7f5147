"""Whatever a partner does ends as the state of its own leg, and the other leg is none the worse for it."""

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.scenarios.fake_partner import Call, FakePartner, Reply, candidate
from tests.scenarios.world import HIT, World, answered, refused

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _tame(fake: FakePartner) -> Iterator[None]:
    yield
    fake.behave = lambda _: Reply(body=[candidate()])


def legs(done: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {leg["partner"]: leg for leg in done["legs"]}


def searched(world: World, **changes: Any) -> dict[str, dict[str, Any]]:
    return legs(world.searched(world.terms(world.case(), **({"deadline_seconds": 20} | changes))))


FAULTY: dict[str, tuple[Reply, str]] = {
    "500": (Reply(500, {"code": 500, "message": "CANARY-text of a partner"}), "partner_error"),
    "503": (Reply(503, b"CANARY"), "partner_error"),
    "400": (Reply(400, {"code": 400, "message": "CANARY"}), "refused"),
    "403": (Reply(403, {"code": 403, "message": "CANARY"}), "refused"),
    "404": (Reply(404, {"code": 404, "message": "CANARY"}), "refused"),
    "418": (Reply(418, b"CANARY"), "partner_error"),
    "not json": (Reply(200, b"<html>CANARY</html>"), "partner_error"),
    "html": (Reply(200, b"<html>", headers={"Content-Type": "text/html"}), "partner_error"),
    "twice the same key": (
        Reply(200, b'[{"personId": "CANARY", "personId": "b", "rank": 1, "score": 1}]'),
        "partner_error",
    ),
    "nan": (Reply(200, b'[{"personId": "CANARY", "rank": 1, "score": NaN}]'), "partner_error"),
    "deep": (Reply(200, b"[" * 100_000), "partner_error"),
    "an object": (Reply(200, {"candidates": []}), "partner_error"),
    "no rank": (Reply(200, [{"personId": "CANARY", "score": 1}]), "partner_error"),
    "too many": (Reply(200, [candidate(number) for number in range(1, 40)]), "partner_error"),
    "the same rank twice": (Reply(200, [candidate(1), {**candidate(2), "rank": 1}]), "partner_error"),
    "control characters": (Reply(200, [{**candidate(), "personId": "CANARY\u202e"}]), "partner_error"),
    "too large": (Reply(200, b'["' + b"x" * 3_000_000 + b'"]'), "partner_error"),
    "compressed": (Reply(200, gzip.compress(b"[]"), headers={**JSON, "Content-Encoding": "gzip"}), "partner_error"),
    "redirect": (Reply(302, b"", headers={"Location": "http://127.0.0.1:1/elsewhere"}), "partner_error"),
    "cut short": (Reply(200, b"[", headers={**JSON, "Content-Length": "5000", "Connection": "close"}), "partner_error"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_answer_ends_its_own_leg_and_no_other(uneasy: World, fake: FakePartner, name: str) -> None:
    reply, state = FAULTY[name]
    fake.behave = lambda _: reply
    found = searched(uneasy)
    cbp, dos = found["cbp-atsp"], found["dos-ccd"]
    assert (cbp["state"], cbp["item"]) == (state, None), cbp
    assert cbp["reason"]
    assert "CANARY" not in str(cbp)
    assert dos["state"] == "answered", dos


def test_an_empty_list_is_no_hit_and_an_item(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [])
    leg = searched(uneasy, partners=["cbp-atsp"])["cbp-atsp"]
    assert leg["state"] == "no_hit"
    item = answered(uneasy.analyst.get(f"/v1/items/{leg['item']}"), 200)
    assert (item["owners"], item["content"]) == (["CBP"], {"candidates": []})


@pytest.mark.parametrize("claimed", ["DOS", "FBI", "CBP ", "cbp", "СВР", "ICE-HSI"])
def test_a_claim_to_another_owner_is_quarantined_and_recorded(uneasy: World, fake: FakePartner, claimed: str) -> None:
    fake.behave = lambda _: Reply(200, [candidate(1), candidate(2, owner=claimed, sourceReference="CANARY-9b1")])
    case = uneasy.case()
    done = uneasy.searched(uneasy.terms(case, deadline_seconds=20))
    leg = legs(done)["cbp-atsp"]
    assert (leg["state"], leg["item"]) == ("quarantined", None)
    assert legs(done)["dos-ccd"]["state"] == "answered"
    assert done["status"] == "incomplete"
    with uneasy.stack.owner() as owner:
        rows = owner.execute(
            "SELECT q.claimed_owner, q.ciphertext FROM quarantine q JOIN search_leg l USING (transaction_id)"
            " WHERE l.search_id = %s",
            [done["id"]],
        ).fetchall()
        items = owner.execute("SELECT count(*) FROM item WHERE search_id = %s", [done["id"]]).fetchone()
    assert [row[0] for row in rows] == [claimed]
    assert b"CANARY" not in bytes(rows[0][1])
    assert items == (1,)
    entries = uneasy.auditor.get("/v1/audit/entries", params={"subject": done["id"], "tag": "search:leg:ended"}).json()
    states = {one["detail"]["partner"]: one["detail"]["state"] for one in entries["items"]}
    assert states["cbp-atsp"] == "quarantined"
    assert "CANARY" not in str(entries)


def test_the_owner_is_the_register_s_even_when_the_partner_says_the_same(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [candidate(1, owner="CBP", caveats=["no_onward"])])
    leg = searched(uneasy, partners=["cbp-atsp"])["cbp-atsp"]
    item = answered(uneasy.analyst.get(f"/v1/items/{leg['item']}"), 200)
    assert item["owners"] == ["CBP"]
    # What the partner says can only add.
    assert set(item["markings"][0]["caveats"]) == {"lead_only", "no_onward"}


def test_a_caveat_that_nobody_here_can_check_is_not_met(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [candidate(1, caveats=["unheard_of"])])
    leg = searched(uneasy, partners=["cbp-atsp"])["cbp-atsp"]
    assert leg["state"] == "answered"
    refused(uneasy.analyst.get(f"/v1/items/{leg['item']}"), 404)
    assert uneasy.officer("CBP").get(f"/v1/items/{leg['item']}").status_code == 200


def test_no_answer_before_the_deadline_is_timed_out(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [candidate()], after=4.0)
    began = time.monotonic()
    found = searched(uneasy, deadline_seconds=2)
    assert found["cbp-atsp"]["state"] == "timed_out"
    assert found["cbp-atsp"]["item"] is None
    assert found["dos-ccd"]["state"] == "answered"
    assert time.monotonic() - began < 10


def test_what_comes_after_a_cancellation_changes_nothing(uneasy: World, fake: FakePartner) -> None:
    fake.behave = lambda _: Reply(200, [candidate()], after=1.5)
    accepted = answered(uneasy.submit(uneasy.terms(uneasy.case(), partners=["cbp-atsp"])), 202)
    refused(uneasy.as_("ICE-ERO", "analyst").post(f"/v1/searches/{accepted['id']}/cancel"), 404)
    cancelled = answered(uneasy.analyst.post(f"/v1/searches/{accepted['id']}/cancel"), 200)
    assert legs(cancelled)["cbp-atsp"]["state"] == "cancelled"
    time.sleep(2)
    after = legs(answered(uneasy.analyst.get(f"/v1/searches/{accepted['id']}"), 200))["cbp-atsp"]
    assert (after["state"], after["item"]) == ("cancelled", None)
    assert answered(uneasy.analyst.post(f"/v1/searches/{accepted['id']}/cancel"), 200) == {**cancelled, "legs": [after]}


def test_a_partner_that_is_not_there_is_asked_again_and_then_an_error(uneasy: World, fake: FakePartner) -> None:
    """Retries are the same search: one transaction id, counted once."""
    seen: list[Call] = []

    def twice_down(call: Call) -> Reply:
        seen.append(call)
        return Reply(503, b"") if len(seen) < 3 else Reply(200, [candidate()])

    fake.behave = twice_down
    case = uneasy.case()
    done = uneasy.searched(uneasy.terms(case, partners=["cbp-atsp"]))
    assert len({call.transaction for call in seen}) == 1
    assert len({call.body for call in seen}) == 1
    if len(seen) == 3:
        assert legs(done)["cbp-atsp"]["state"] == "answered"
    with uneasy.stack.owner() as owner:
        row = owner.execute("SELECT calls FROM search_leg WHERE search_id = %s", [done["id"]]).fetchone()
    assert row == (len(seen),)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "lapsed training": ({"training_valid_until": "2020-01-01"}, {}, "training_lapsed"),
    "not enrolled": ({"partners": ["dos-ccd"]}, {}, "not_enrolled"),
    "purpose not agreed": ({}, {"purpose": "civil_immigration_enforcement"}, "purpose_not_agreed"),
    "not attested": ({}, {"probe": {"lawful_acquisition_attested": False}}, "lawful_acquisition"),
    "kind of probe not agreed": ({}, {"probe": {"kind": "sketch"}}, "probe_kind_not_agreed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_rules_forbid_never_reaches_the_wire(uneasy: World, fake: FakePartner, name: str) -> None:
    from datetime import date

    claims, changes, reason = REFUSED[name]
    if "training_valid_until" in claims:
        claims = {"training_valid_until": date.fromisoformat(claims["training_valid_until"])}
    who = uneasy.as_("ICE-HSI", "analyst", sub=f"ana {name}", **claims)
    before = len(fake.calls)
    case = uneasy.case()
    accepted = answered(uneasy.submit(uneasy.terms(case, partners=["cbp-atsp"], **changes), who=who), 202)
    leg = legs(uneasy.finished(accepted["id"], who))["cbp-atsp"]
    assert (leg["state"], leg["item"]) == ("refused", None)
    assert reason in leg["reason"]
    time.sleep(0.7)
    assert len(fake.calls) == before
    # Refused, and on record all the same.
    entries = uneasy.auditor.get("/v1/audit/entries", params={"subject": accepted["id"]}).json()["items"]
    assert {"search:request:accepted", "search:leg:ended"} <= {one["tag"] for one in entries}


def test_a_closed_case_takes_no_search(uneasy: World, fake: FakePartner) -> None:
    case, before = uneasy.case(), len(fake.calls)
    answered(uneasy.analyst.post(f"/v1/cases/{case}/close"), 200)
    refused(uneasy.submit(uneasy.terms(case)), 409)
    refused(uneasy.analyst.post(f"/v1/cases/{case}/close"), 409)
    assert len(fake.calls) == before


def test_a_partner_is_told_the_transaction_the_cap_and_the_picture_and_nothing_of_the_requester(
    uneasy: World, fake: FakePartner
) -> None:
    before = len(fake.calls)
    terms = uneasy.terms(uneasy.case(), partners=["cbp-atsp"], max_candidates=7, basis_text="CANARY of the case file")
    assert legs(uneasy.searched(terms, HIT))["cbp-atsp"]["state"] == "answered"
    call = fake.calls[before]
    assert call.query["maxNbCand"] == "7"
    body = json.loads(call.body)
    assert set(body) == {"filter", "biometricData"}
    wire = call.path + str(call.query) + call.body.decode() + str(call.headers)
    for private in ("CANARY", "ana.analyst", "ICE-HSI", terms["case_id"], "1546"):
        assert private not in wire
