"""Ids are compared as they are written: refused when they are not, and never repaired."""

from typing import Any

import pytest

from tests.scenarios.world import World, answered, fresh, refused

WRONG = {
    "DOS": [
        "DOS ",
        " DOS",
        "dos",
        "Dos",
        "DОS",
        "ＤＯＳ",
        "DOS\u200b",
        "DOS\t",
        "*",
        "any",
        "within:DHS",
        "under:DOS",
        "",
        "DOS,CBP",
        "D%4fS",
        "DOS\x00",
        "DOS\n",
        "x" * 5000,
        "DOS-EVIL",
        "DO",
        "agency:DOS",
        "'DOS'",
        "\ud800",
        None,
        7,
        True,
        [],
        {},
        ["DOS"],
    ],
    "criminal_investigation": [
        "criminal_investigation ",
        "Criminal_investigation",
        "any",
        "under:criminal_investigation",
        "*",
        "",
    ],
    "dos-ccd": ["dos-ccd ", "DOS-CCD", "*", "dos-cdd", "", "any", "dos‑ccd"],
}


def rows(world: World) -> Any:
    with world.stack.owner() as owner:
        return owner.execute(
            "SELECT (SELECT count(*) FROM permission_grant), (SELECT count(*) FROM release)"
        ).fetchone()


def never_taken(world: World, post: Any, wrong: list[Any]) -> None:
    before = rows(world)
    for value in wrong:
        response = post(value)
        problem = refused(response, 400 if response.status_code == 400 else 422)
        if isinstance(value, str) and len(value) > 3:
            assert value not in response.text
        assert problem["type"].startswith("urn:interagency-broker:problem:")
    assert rows(world) == before


def ascii_only(world: World, path: str, body: dict[str, Any]) -> Any:
    """Post with lone surrogates written as escapes, which is how they can travel at all."""
    import json

    headers = {"Content-Type": "application/json", "Idempotency-Key": fresh()}
    who = world.officer("DOS") if "grants" in path else world.analyst
    return who.post(path, content=json.dumps(body).encode(), headers=headers)


@pytest.mark.parametrize("member", ["owner", "recipients"])
def test_an_agency_in_a_grant(world: World, member: str) -> None:
    lead = world.dos_lead()

    def post(value: Any) -> Any:
        body = world.grant_body("DOS", lead, **{member: value if member == "owner" else [value]})
        return ascii_only(world, "/v1/admin/grants", body)

    never_taken(world, post, WRONG["DOS"])


def test_a_purpose_in_a_grant(world: World) -> None:
    lead = world.dos_lead()
    never_taken(
        world,
        lambda value: ascii_only(world, "/v1/admin/grants", world.grant_body("DOS", lead, purposes=[value])),
        WRONG["criminal_investigation"],
    )


def test_a_partner_in_a_grant(world: World) -> None:
    """A scope that names no partner of the register can never be what the owner meant."""
    never_taken(
        world,
        lambda value: ascii_only(world, "/v1/admin/grants", world.grant_body("DOS", scope={"partner": value})),
        WRONG["dos-ccd"],
    )


@pytest.mark.parametrize(
    "scope", [{}, {"items": []}, {"kind": "Lead"}, {"kind": "*"}, {"everything": True}, {"items": "x"}, None, []]
)
def test_a_scope_that_says_nothing_or_something_else(world: World, scope: Any) -> None:
    never_taken(
        world, lambda value: ascii_only(world, "/v1/admin/grants", world.grant_body("DOS", scope=value)), [scope]
    )


def test_an_item_written_differently_is_another_item(world: World) -> None:
    lead = world.dos_lead()
    before = rows(world)
    for value in (lead.upper(), lead + "a", lead[:-1], "ITM" + lead[3:]):
        assert world.grant("DOS", value).status_code == 404
    for value in (lead + " ", " " + lead, lead + "\x00", lead + "\n"):
        refused(world.grant("DOS", value), 422)
    refused(world.grant("DOS", scope={"items": [lead, lead]}), 422)
    assert rows(world) == before


@pytest.mark.parametrize("member", ["recipient", "purpose"])
def test_a_release_names_the_register_s_words(world: World, member: str) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead)

    def post(value: Any) -> Any:
        wish = world.wish(lead)
        if member == "recipient":
            wish["recipient"]["agency"] = value
        else:
            wish["purpose"] = value
        return ascii_only(world, "/v1/releases", wish)

    wrong = [one.replace("DOS", "FBI") if isinstance(one, str) else one for one in WRONG["DOS"]]
    wrong = [one for one in wrong if one != "FBI"] + ["fbi", "FBI "]
    never_taken(world, post, wrong if member == "recipient" else WRONG["criminal_investigation"])


def test_a_search_names_the_register_s_words(world: World) -> None:
    case = world.case()
    for value in WRONG["dos-ccd"]:
        refused(world.submit(world.terms(case, partners=[value])), 422)
    for value in WRONG["criminal_investigation"]:
        refused(world.submit(world.terms(case, purpose=value)), 422)
    refused(world.submit(world.terms(case, partners=["dos-ccd", "dos-ccd"])), 422)
    refused(world.submit(world.terms(case, partners=[])), 422)
    for other in (world.case(world.as_("ICE-ERO", "analyst")), "cas_" + "a" * 26, case.upper(), case + " ", "*"):
        refused(world.submit(world.terms(other)), 422)


def test_what_is_stored_is_what_was_written(world: World) -> None:
    made = answered(world.analyst.post("/v1/cases", json={"reference": "Ünïcode № 7", "title": "Ein Fall «x»"}), 201)
    assert made["reference"] == "Ünïcode № 7"
    for reference in (" x", "x ", "x\ny", "x\x00", "\u202ex", "x\u200b", "", "x" * 501, None, 5, ["x"]):
        refused(world.analyst.post("/v1/cases", json={"reference": reference, "title": "t"}), 422)
