"""Every partner through the running service, and one more that a package outside the repository brings."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.partners.conformance import CHECKS
from tests.scenarios.world import HIT, STRANGER, World, answered, refused
from tests.support.outside import install, of, register
from tests.support.programs import ROOT, environment, eventually, reachable_folder
from tests.support.stack import running_stack

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("every partner")]

GALLERIES = {"cbp-atsp": "CBP", "dos-ccd": "DOS", "state-dmv": "STATE-EX-DMV", "vendor-lpr": "VENDOR-EX"}
CHECKIN = "contractor-checkin"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder with the package and the policies that name it."""
    with reachable_folder() as folder:
        install(folder / "packages")
        register(folder / "policies")
        yield folder


@pytest.fixture(scope="module")
def own(place: Path) -> Iterator[World]:
    """A service that was told of the folder and nothing else; its code is the repository's."""
    with running_stack(BROKER_POLICIES=str(place / "policies"), PYTHONPATH=str(place / "packages")) as stack:
        yield World(stack)


def command(place: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = environment(PYTHONPATH=str(place / "packages"), BROKER_POLICIES=str(place / "policies"), **variables)
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=given, capture_output=True, text=True, check=False, timeout=240
    )


def legs(done: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {leg["partner"]: leg for leg in done["legs"]}


def asked(own: World, partner: str) -> int:
    """Searches that a stand-in was asked for."""
    with urllib.request.urlopen(f"{own.stack.partners[partner]}/standin/log", timeout=10) as reply:
        return int(json.load(reply)["searches"])


def test_every_gallery_finds_the_sample_and_its_owner_is_the_register_s(own: World) -> None:
    terms = own.terms(own.case(), partners=list(GALLERIES), deadline_seconds=60)
    found = legs(own.searched(terms, HIT))
    assert {name: leg["state"] for name, leg in found.items()} == dict.fromkeys(GALLERIES, "answered"), found
    for name, owner in GALLERIES.items():
        item = answered(own.analyst.get(f"/v1/items/{found[name]['item']}"), 200)
        assert item["owners"] == [owner]
        ranks = [one["rank"] for one in item["content"]["candidates"]]
        assert ranks == list(range(1, len(ranks) + 1))
        assert len(ranks) >= 3


def test_no_gallery_knows_the_stranger(own: World) -> None:
    terms = own.terms(own.case(), partners=list(GALLERIES), deadline_seconds=60)
    found = legs(own.searched(terms, STRANGER))
    assert {name: leg["state"] for name, leg in found.items()} == dict.fromkeys(GALLERIES, "no_hit"), found


def test_a_package_from_outside_conforms_where_it_lies(place: Path) -> None:
    ran = command(place, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(place / "packages"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(CHECKS) + 2} passed" in ran.stdout


def test_the_page_s_commands_say_what_it_shows(place: Path) -> None:
    (shown,) = of("console")
    check, expected, _standin, listens, draw = shown.splitlines()
    ran = command(place, "-m", "broker", "policy", "check", str(place / "policies"))
    pattern = re.escape(expected).replace("…", ".+")
    said = ran.stdout.replace(str(place / "policies"), "policies").strip()
    assert re.fullmatch(pattern, said), ran.stdout + ran.stderr
    assert (check, listens.partition(" listens on ")[0]) == ("$ broker policy check policies", "county-residents")
    code = re.fullmatch(r'\$ python -c "(.+)"', draw)
    assert code is not None
    ran = command(place, "-c", code[1].replace("somebody.jpg", str(place / "somebody.jpg")))
    assert ran.returncode == 0, ran.stderr
    assert (place / "somebody.jpg").read_bytes().startswith(b"\xff\xd8\xff")


def test_the_partner_that_a_package_brings_is_searched_and_owned_like_any_other(own: World, place: Path) -> None:
    assert "county-residents" in own.stack.partners
    draw = "import sys, county.standin as s; sys.stdout.buffer.write(getattr(s, sys.argv[1]))"
    pictures = {
        name: subprocess.run(
            [sys.executable, "-c", draw, name],
            env=environment(PYTHONPATH=str(place / "packages")),
            capture_output=True,
            check=True,
        ).stdout
        for name in ("SOMEBODY", "STRANGER")
    }
    terms = own.terms(own.case(), partners=["county-residents"])
    leg = legs(own.searched(terms, pictures["SOMEBODY"]))["county-residents"]
    assert leg["state"] == "answered", leg
    item = answered(own.analyst.get(f"/v1/items/{leg['item']}"), 200)
    assert item["owners"] == ["STATE-EX"]
    assert [one["reference"] for one in item["content"]["candidates"]] == ["C-0001"]
    assert legs(own.searched(terms, pictures["STRANGER"]))["county-residents"]["state"] == "no_hit"


def programme(own: World) -> tuple[httpx.Client, str]:
    analyst = own.as_("ICE-ERO", "analyst", sub="erin.ero")
    return analyst, own.case(analyst)


def check_in(own: World, participant: str | None, probe: bytes = HIT) -> dict[str, Any]:
    analyst, case = programme(own)
    named = {} if participant is None else {"participant": participant}
    terms = own.terms(case, partners=[CHECKIN], purpose="supervision_check_in", predicate="assessment", **named)
    return legs(own.searched(terms, probe, who=analyst))[CHECKIN]


def test_a_participant_is_verified_once_the_terms_are_on_record(own: World) -> None:
    analyst, _case = programme(own)
    before = asked(own, CHECKIN)
    body = {"partner": CHECKIN, "reference": "P-0100"}
    made = answered(analyst.post("/v1/participants", json=body), 201)
    refused_leg = check_in(own, made["id"])
    assert (refused_leg["state"], refused_leg["reason"], refused_leg["item"]) == ("refused", "terms_not_accepted", None)
    assert "participant_missing" in check_in(own, None)["reason"]
    assert asked(own, CHECKIN) == before

    (terms,) = (
        one["terms_version"] for one in answered(analyst.get("/v1/partners"), 200)["items"] if one["id"] == CHECKIN
    )
    accepted = {"version": terms, "accepted_at": datetime.now(UTC).isoformat()}
    answered(analyst.post(f"/v1/participants/{made['id']}/terms", json=accepted), 201)
    leg = check_in(own, made["id"])
    assert leg["state"] == "answered", leg
    item = answered(analyst.get(f"/v1/items/{leg['item']}"), 200)
    assert item["owners"] == ["CONTRACTOR-EX"]
    assert [one["reference"] for one in item["content"]["candidates"]] == ["P-0100"]
    assert check_in(own, made["id"], STRANGER)["state"] == "no_hit"

    # For another component, and for a colleague who is not enrolled for the partner, there is no such participant.
    for other in (own.analyst, own.as_("ICE-ERO", "analyst", sub="eve.ero", partners=["cbp-atsp"])):
        refused(other.post("/v1/participants", json={**body, "reference": "P-0107"}), 403)
        theirs = other.get(f"/v1/participants/{made['id']}")
        nobody = other.get("/v1/participants/par_" + "a" * 26)
        assert (theirs.status_code, theirs.content) == (nobody.status_code, nobody.content) == (404, nobody.content)
        assert answered(other.get("/v1/participants"), 200)["items"] == []
        theirs, nobody = other.get(f"/v1/items/{leg['item']}"), other.get("/v1/items/itm_" + "a" * 26)
        assert (theirs.status_code, theirs.content) == (nobody.status_code, nobody.content) == (404, nobody.content)
        assert leg["item"] not in other.get("/v1/searches", params={"limit": 100}).text

    report = answered(own.auditor.get("/v1/oversight/reports/participants"), 200)
    whole = next(row for row in report["rows"] if row["participant"] is None)
    assert (whole["partner"], whole["enrolled"], whole["using"]) == (CHECKIN, 1, 1)
    (one,) = (row for row in report["rows"] if row["participant"] == made["id"])
    assert one["terms_version"] == terms

    answered(analyst.post(f"/v1/participants/{made['id']}/end", json={"reason": "released"}), 200)
    assert "participant_unknown" in check_in(own, made["id"])["reason"]


def test_what_the_contract_leaves_behind_is_listed_and_not_handed_over_before_its_end(own: World, place: Path) -> None:
    home = {"BROKER_HOME": str(own.stack.home)}
    if own.stack.owner_url is not None:
        home["BROKER_DATABASE_URL"] = own.stack.owner_url
    listed = command(place, "-m", "broker", "hand-over", CHECKIN, **home)
    assert listed.returncode == 0, listed.stderr
    due = json.loads(listed.stdout)
    assert (due["partner"], due["contract_ended"], due["recorded"]) == (CHECKIN, False, False)
    early = command(
        place, "-m", "broker", "hand-over", CHECKIN, "--received-by", "R. Invented", "--receipt", "R-1", **home
    )
    assert early.returncode == 2
    assert "runs until" in early.stderr


def test_the_vendor_is_not_asked_once_no_agreement_is_in_force(own: World, place: Path) -> None:
    partners = place / "policies" / "partners.yaml"
    good = partners.read_text("utf-8")
    head, vendor, rest = good.partition("- id: vendor-lpr")
    before = asked(own, "vendor-lpr")
    try:
        partners.write_text(head + vendor + rest.replace("valid_until: 2035-12-31", "valid_until: 2020-12-31", 1))

        def ended() -> bool:
            listed = answered(own.analyst.get("/v1/partners"), 200)["items"]
            return any(one["id"] == "vendor-lpr" and one["valid_until"] == "2020-12-31" for one in listed)

        assert eventually(ended)
        leg = legs(own.searched(own.terms(own.case(), partners=["vendor-lpr"])))["vendor-lpr"]
        assert (leg["state"], leg["reason"]) == ("refused", "agreement_out_of_force")
        assert asked(own, "vendor-lpr") == before
    finally:
        partners.write_text(good)


@pytest.mark.parametrize("partner", [*GALLERIES, CHECKIN])
def test_a_partner_is_switched_off_by_one_edit(own: World, place: Path, partner: str) -> None:
    partners = place / "policies" / "partners.yaml"
    good = partners.read_text("utf-8")
    head, start, rest = good.partition(f"- id: {partner}\n")

    def approved() -> bool:
        listed = answered(own.analyst.get("/v1/partners"), 200)["items"]
        return next(one["approved"] for one in listed if one["id"] == partner)

    assert eventually(approved)
    before = asked(own, partner)
    try:
        partners.write_text(head + start + rest.replace("approved: true", "approved: false", 1))
        assert eventually(lambda: not approved())
        leg = legs(own.searched(own.terms(own.case(), partners=[partner])))[partner]
        assert leg["state"] == "refused"
        assert "partner_not_approved" in leg["reason"]
        assert asked(own, partner) == before
    finally:
        partners.write_text(good)
