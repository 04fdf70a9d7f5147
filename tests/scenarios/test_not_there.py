"""What a caller may not know of looks exactly like what does not exist: the same bytes, the same headers."""

from typing import Any

import httpx
import pytest

from tests.scenarios.world import UNKNOWN, World, answered, fresh

ODD = ["x", "itm_", "itm_" + "A" * 26, "itm_" + "1" * 26, "itm_" + "a" * 27, "%00", "%2e%2e", "*", "any", "a" * 3000, "itm_"
       + "a" * 26 + "%20", "%D0%86", "sea_" + "b" * 26]  # fmt: skip


def face(response: httpx.Response) -> tuple[Any, ...]:
    """All of a response that its receiver sees, but for the date."""
    headers = sorted((name, value) for name, value in response.headers.items() if name != "date")
    return response.status_code, response.content, headers


def test_an_item_of_others_is_an_item_that_is_not_there(world: World) -> None:
    hidden = world.material["dos-ccd"]
    for agency, roles in (
        ("FBI", ["analyst"]),
        ("ICE-ERO", ["analyst"]),
        ("FBI", ["release_officer"]),
        ("CBP", ["analyst"]),
    ):
        stranger = world.as_(agency, *roles)
        nothing = face(stranger.get(f"/v1/items/{UNKNOWN['item']}"))
        assert nothing[0] == 404
        assert b"instance" not in nothing[1]
        for path in (f"/v1/items/{hidden}", f"/v1/items/{hidden}/lineage"):
            assert face(stranger.get(path)) == nothing
        for odd in ODD:
            assert face(stranger.get(f"/v1/items/{odd}")) == nothing, odd


def test_a_search_of_others_is_a_search_that_is_not_there(world: World) -> None:
    hidden = world.material["search"]
    answered(world.analyst.get(f"/v1/searches/{hidden}"), 200)
    for agency in ("ICE-ERO", "ICE", "FBI"):
        stranger = world.as_(agency, "analyst")
        nothing = face(stranger.get(f"/v1/searches/{UNKNOWN['search']}"))
        assert nothing[0] == 404
        for path in (hidden, f"{hidden}/events", f"{hidden}?wait=1", "x", "%00", "sea_"):
            assert face(stranger.get(f"/v1/searches/{path}")) == nothing
        assert face(stranger.post(f"/v1/searches/{hidden}/cancel")) == nothing


def test_a_case_of_others_is_a_case_that_is_not_there(world: World) -> None:
    hidden = world.material["case"]
    stranger = world.as_("ICE-ERO", "analyst")
    nothing = face(stranger.get("/v1/cases/cas_" + "a" * 26))
    assert face(stranger.get(f"/v1/cases/{hidden}")) == nothing
    assert face(stranger.post(f"/v1/cases/{hidden}/close")) == nothing


def test_a_release_of_others_is_a_release_that_is_not_there(world: World) -> None:
    made = answered(world.release(world.material["cbp-atsp"], "ICE-ERO"), 201)["id"]
    answered(world.as_("ICE-ERO", "analyst").get(f"/v1/releases/{made}"), 200)
    for agency in ("FBI", "CBP", "ICE"):
        stranger = world.as_(agency, "analyst")
        nothing = face(stranger.get(f"/v1/releases/{UNKNOWN['release']}"))
        assert nothing[0] == 404
        for path in (made, f"{made}/package", "x", "%00", f"{UNKNOWN['release']}/package"):
            assert face(stranger.get(f"/v1/releases/{path}")) == nothing


def test_what_may_not_be_viewed_can_be_neither_released_nor_derived_from_nor_asked_about(world: World) -> None:
    stranger = world.as_("FBI", "analyst")
    case = world.case(stranger)
    hidden = world.material["dos-ccd"]
    seen = set()
    for item in (hidden, UNKNOWN["item"], "x", "DOS", "itm_" + "A" * 26):
        wish = world.wish(item, "DOJ", case_id=case)
        seen.add(str(face(stranger.post("/v1/releases", json=wish, headers={"Idempotency-Key": fresh()}))))
        seen.add(str(face(stranger.post("/v1/decisions", json=wish))))
        body = {"kind": "lead", "title": "t", "case_id": case, "parts": [{"text": "t", "sources": [{"item": item}]}]}
        seen.add(str(face(stranger.post("/v1/items", json=body))))
    assert len(seen) == 1
    assert seen.pop().startswith("(404")


def test_a_grant_of_another_owner_is_a_grant_that_is_not_there(world: World) -> None:
    grant = world.granted("DOS", world.dos_lead())
    for stranger in (world.officer("CBP"), world.as_("FBI", "liaison"), world.analyst):
        nothing = face(stranger.get("/v1/admin/grants/gra_" + "a" * 26))
        assert face(stranger.get(f"/v1/admin/grants/{grant}")) == nothing
    for stranger in (world.officer("CBP"), world.as_("FBI", "liaison")):
        for act, body in (("confirm", None), ("revoke", {"reason": "x"})):
            nothing = face(stranger.post(f"/v1/admin/grants/gra_{'a' * 26}/{act}", json=body))
            assert nothing[0] == 404
            assert face(stranger.post(f"/v1/admin/grants/{grant}/{act}", json=body)) == nothing


def test_a_grant_for_an_item_in_which_the_owner_has_no_part_is_one_for_an_unknown_item(world: World) -> None:
    theirs, unknown = world.material["cbp-atsp"], UNKNOWN["item"]
    officer = world.officer("DOS")
    answers = {
        str(face(officer.post("/v1/admin/grants", json=world.grant_body("DOS", item)))) for item in (theirs, unknown)
    }
    assert len(answers) == 1
    assert answers.pop().startswith("(404")
    for case in (world.case(), "cas_" + "a" * 26):
        body = world.grant_body("DOS", scope={"case_id": case})
        assert officer.post("/v1/admin/grants", json=body).status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/nope", "/docs", "/openapi.json", "/redoc", "/v1/items/", "/v2/items"]
)
def test_there_is_nothing_else(world: World, path: str) -> None:
    assert face(world.stack.caller().get(path))[:2] == face(world.stack.caller().get("/v1/unheard-of"))[:2]
