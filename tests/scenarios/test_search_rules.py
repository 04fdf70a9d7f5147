"""Each rule of searching over HTTP: the leg is on record as refused, with its rule, and the partner never hears of it."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.scenarios.fake_partner import FakePartner
from tests.scenarios.world import World, answered

LONG_AGO = (datetime.now(UTC) - timedelta(days=3651)).isoformat()
CIVIL = "civil_immigration_enforcement"
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], set[str]]] = {
    "R1 training": ({"training_valid_until": date(2020, 1, 1)}, {}, {"training_lapsed"}),
    "R1 enrolment": ({"partners": ["dos-ccd"]}, {}, {"not_enrolled"}),
    "R3 no basis": ({}, {"evidentiary_basis": "none"}, {"basis_below_floor"}),
    "R3 exigent without a life in danger": (
        {},
        {"evidentiary_basis": "none", "predicate": "exigent", "exigent": True},
        {"basis_below_floor"},
    ),
    "R3 basis not in words": ({}, {"basis_text": " \n "}, {"grounds_not_stated"}),
    "R4 civil": ({}, {"purpose": CIVIL}, {"purpose_not_agreed", "civil_enforcement_only"}),
    "R5 kind": ({}, {"probe": {"kind": "composite"}}, {"probe_kind_not_agreed"}),
    "R5 age": ({}, {"probe": {"acquired_at": LONG_AGO}}, {"probe_too_old"}),
    "R5 lawful": ({}, {"probe": {"lawful_acquisition_attested": False}}, {"lawful_acquisition_not_attested"}),
    "R5 protected": ({}, {"probe": {"first_amendment_activity": True}}, {"first_amendment_activity"}),
    "R6 nothing tried first": ({}, {"prior_methods": []}, {"prior_methods_missing"}),
    "everything at once": (
        {"training_valid_until": date(2020, 1, 1), "partners": ["dos-ccd"]},
        {"evidentiary_basis": "none", "prior_methods": [], "probe": {"kind": "sketch"}},
        {
            "training_lapsed",
            "not_enrolled",
            "basis_below_floor",
            "prior_methods_missing",
            "probe_kind_not_agreed",
        },
    ),
}
ACCEPTED: dict[str, dict[str, Any]] = {
    "an articulable lead": {"evidentiary_basis": "articulable_lead"},
    "a court order": {"evidentiary_basis": "court_order"},
    "a life in danger at this moment": {
        "evidentiary_basis": "none",
        "predicate": "exigent",
        "exigent": True,
        "purpose": "threat_to_life",
        "prior_methods": [],
    },
    "edits that are listed": {"probe": {"edits": ["cropped", "contrast"]}},
}


@pytest.fixture(scope="module")
def refused_legs(uneasy: World, fake: FakePartner) -> dict[str, tuple[dict[str, Any], str]]:
    """Each search of the table, asked of CBP's place, where the fake partner counts what comes."""
    before, found = len(fake.calls), {}
    case = uneasy.case()
    for name, (claims, changes, _) in REFUSED.items():
        who = uneasy.as_("ICE-HSI", "analyst", sub=f"ana {name}", **claims)
        done = answered(uneasy.submit(uneasy.terms(case, partners=["cbp-atsp"], **changes), who=who), 202)
        found[name] = (done["legs"][0], done["id"])
    time.sleep(1)
    assert len(fake.calls) == before, "a refused leg has reached the wire"
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_a_search_against_a_rule_is_refused_with_that_rule(
    uneasy: World, refused_legs: dict[str, tuple[dict[str, Any], str]], name: str
) -> None:
    leg, search = refused_legs[name]
    expected = REFUSED[name][2]
    assert (leg["state"], leg["item"]) == ("refused", None)
    assert {refusal["code"] for refusal in leg["refusals"]} == expected
    assert set(leg["reason"].split(", ")) == expected
    for refusal in leg["refusals"]:
        assert refusal["detail"]
        # No row accepts civil enforcement, so no row can be named; everything else has its line.
        if refusal["code"] != "civil_enforcement_only":
            assert refusal["rule"].partition(":")[0] in {"partners.yaml", "searches.csv"}
    [entry] = [
        one
        for one in uneasy.auditor.get("/v1/audit/entries", params={"subject": search}).json()["items"]
        if one["tag"] == "search:leg:ended"
    ]
    assert entry["detail"]["rules"] == [refusal["rule"] for refusal in leg["refusals"] if refusal["rule"]]
    # Read again, it says the same.
    again = uneasy.finished(search, uneasy.as_("ICE-HSI", "analyst", sub="another"))
    assert again["legs"] == [leg]


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_search_within_the_rules_is_sent(uneasy: World, fake: FakePartner, name: str) -> None:
    before = len(fake.calls)
    done = uneasy.searched(uneasy.terms(uneasy.case(), partners=["cbp-atsp"], **ACCEPTED[name]))
    [leg] = done["legs"]
    assert leg["refusals"] == []
    assert leg["state"] != "refused"
    assert len(fake.calls) > before


def test_one_partner_s_rule_does_not_stop_the_other(uneasy: World) -> None:
    """For an assessment DOS asks for more than a lead, and CBP does not."""
    terms = uneasy.terms(uneasy.case(), predicate="assessment", evidentiary_basis="articulable_lead")
    legs = {leg["partner"]: leg for leg in answered(uneasy.submit(terms), 202)["legs"]}
    assert legs["dos-ccd"]["reason"] == "basis_below_floor"
    assert legs["cbp-atsp"]["state"] != "refused"


def test_training_is_judged_by_the_day_of_the_search_and_not_by_the_token_s(uneasy: World) -> None:
    """A token that was issued while the training was valid is of no use on the day after."""
    today = datetime.now(UTC).date()
    for until, refused in ((today, False), (today - timedelta(days=1), True)):
        who = uneasy.as_("ICE-HSI", "analyst", sub=f"trained until {until}", training_valid_until=until)
        terms = uneasy.terms(uneasy.case(who), partners=["cbp-atsp"])
        [leg] = answered(uneasy.submit(terms, who=who), 202)["legs"]
        assert (leg["reason"] == "training_lapsed") is refused
