"""One answer with the records of two owners, over HTTP: each is asked for its own, and the recipient of a part learns no more."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.scenarios.fake_partner import FakePartner, Reply, candidate
from tests.scenarios.world import World, answered, codes, refused
from tests.support.stack import running_stack

DMV = "STATE-EX-DMV"
pytestmark = [pytest.mark.xdist_group("gateway"), pytest.mark.processes]


def both(_: Any) -> Reply:
    """A record of the State of Example's between two of DOS's own."""
    theirs = candidate(2, owner=DMV, sourceReference="CANARY-2", caveats=["no_onward"])
    return Reply(body=[candidate(1, owner="DOS", sourceReference="CANARY-1"), theirs, candidate(3)])


@pytest.fixture(scope="module")
def partner() -> Iterator[FakePartner]:
    """DOS's system, which is a gateway to others' records."""
    with FakePartner().answering() as running:
        running.behave = both
        yield running


@pytest.fixture(scope="module")
def gateway(partner: FakePartner) -> Iterator[World]:
    """A service of its own that asks this partner."""
    with running_stack(BROKER_PARTNER_URLS=json.dumps({"dos-ccd": partner.url})) as stack:
        yield World(stack)


@pytest.fixture(scope="module")
def found(gateway: World) -> dict[str, Any]:
    """The list, its case, and what of it is whose."""
    case = gateway.case()
    [leg] = gateway.searched(gateway.terms(case, partners=["dos-ccd"]))["legs"]
    assert leg["state"] == "answered", leg
    return {"case": case, "item": leg["item"]}


def released(world: World, found: dict[str, Any], **changes: Any) -> Any:
    return world.release(found["item"], case_id=found["case"], **changes)


def owners_of_missing(problem: dict[str, Any]) -> list[str]:
    return sorted(one["owner"] for one in problem["missing"])


def test_who_asked_sees_the_list_and_whose_each_candidate_is(gateway: World, found: dict[str, Any]) -> None:
    item = answered(gateway.analyst.get(f"/v1/items/{found['item']}"), 200)
    assert item["owners"] == ["DOS", DMV]
    references = [one["reference"] for one in item["content"]["candidates"]]
    assert references == ["X-0001", "X-0003", "X-0002"]
    places = {one["owner"]: one["selectors"] for one in item["markings"]}
    assert places["DOS"] is None
    assert {"/candidates/2", "/candidates/0/rank", "/candidates/0/score"} <= set(places[DMV])
    assert {one["owner"]: one["caveats"] for one in item["markings"]} == {
        "DOS": ["lead_only"],
        DMV: ["lead_only", "no_onward"],
    }
    # An owner looks at what is its own alone; of this list there is another one to be asked.
    for owner in ("DOS", DMV):
        refused(gateway.officer(owner).get(f"/v1/items/{found['item']}"), 404)


def test_the_whole_needs_both_and_a_field_its_own(gateway: World, found: dict[str, Any]) -> None:
    whole = refused(released(gateway, found), 403)
    assert codes(whole) == {"permission_missing"}
    assert owners_of_missing(whole) == ["DOS", DMV]
    assert whole["permission_request"]["owners"] == ["DOS", DMV]
    part = refused(released(gateway, found, fields=["/candidates/0/facts"]), 403)
    assert owners_of_missing(part) == ["DOS"]
    for told in ("/candidates/0/score", "/candidates/1", "/candidates/2/reference", "/candidates", "/no/such/place"):
        assert owners_of_missing(refused(released(gateway, found, fields=[told]), 403)) == ["DOS", DMV], told


def test_a_part_is_released_with_its_owner_s_grant_and_tells_nothing_of_the_other(
    gateway: World, found: dict[str, Any]
) -> None:
    grant = gateway.granted("DOS", found["item"], fields=["/candidates/0", "/candidates/1"])
    fields = ["/candidates/0/reference", "/candidates/0/facts", "/candidates/1/source_reference"]
    made = answered(released(gateway, found, fields=fields), 201)
    assert (made["partial"], made["left_out"], made["grants"]) == (True, [DMV], [grant])
    # The whole is refused still, and so is a rank, though it lies in what DOS has granted.
    assert owners_of_missing(refused(released(gateway, found), 403)) == ["DOS", DMV]
    assert owners_of_missing(refused(released(gateway, found, fields=["/candidates/0/rank"]), 403)) == [DMV]
    recipient = gateway.accepted(made["id"])
    copy, record = (recipient.get(f"/v1/releases/{made['id']}{path}") for path in ("/package", ""))
    assert answered(copy, 200)["item"]["content"]["/candidates/0/reference"] == "X-0001"
    for said in (copy.text, record.text, str(copy.headers), str(record.headers)):
        for foreign in (DMV, "X-0002", "CANARY-2", "no_onward"):
            assert foreign not in said
    assert (answered(record, 200)["partial"], answered(record, 200)["left_out"]) == (None, None)
    assert answered(record, 200)["disclosure"]["owners"] == ["DOS"]
    # Taken back by the other owner, it is refused to the recipient without a word of whose sake it is for.
    notice = {"kind": "withdrawn", "text": "CANARY: a wrong record."}
    answered(gateway.officer(DMV).post(f"/v1/items/{found['item']}/notices", json=notice), 201)
    hidden = recipient.get(f"/v1/releases/{made['id']}/package")
    assert codes(refused(hidden, 403)) == {"item_recalled"}
    assert DMV not in hidden.text
    assert not answered(recipient.get("/v1/notices/received"), 200)["items"]


def test_an_owner_that_the_register_does_not_name_is_quarantined_as_ever(gateway: World, partner: FakePartner) -> None:
    partner.behave = lambda _: Reply(body=[candidate(1, owner=DMV), candidate(2, owner="FBI")])
    try:
        [leg] = gateway.searched(gateway.terms(gateway.case(), partners=["dos-ccd"]))["legs"]
    finally:
        partner.behave = both
    assert (leg["state"], leg["item"]) == ("quarantined", None)
