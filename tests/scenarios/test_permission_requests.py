"""Asking owners for permission: each sees its own part, silence is no consent, and a yes is a grant."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.scenarios.world import World, answered, codes, refused

PATH = "/v1/permission-requests"


def draft(world: World, lead: str) -> dict[str, Any]:
    """What the refusal of a release drafted."""
    return dict(refused(world.release(lead), 403)["permission_request"])


def asked(world: World, lead: str, **changes: Any) -> str:
    return str(answered(world.analyst.post(PATH, json={**draft(world, lead), **changes}), 201)["id"])


def answer(world: World, owner: str, request: str, decision: str, /, **terms: Any) -> httpx.Response:
    return world.officer(owner).post(f"{PATH}/{request}/decision", json={"decision": decision, **terms})


def test_the_draft_of_a_refusal_can_be_sent_as_it_is_and_granted(world: World) -> None:
    lead = world.lead()
    request = asked(world, lead)
    assert answered(world.analyst.get(f"{PATH}/{request}"), 200)["state"] == "submitted"
    first = answered(answer(world, "DOS", request, "granted"), 200)["parts"][0]["grant_id"]
    assert [one["owner"] for one in refused(world.release(lead), 403)["missing"]] == ["CBP"]
    second = answered(answer(world, "CBP", request, "granted"), 200)["parts"][0]["grant_id"]
    assert sorted(answered(world.release(lead), 201)["grants"]) == sorted([first, second])
    assert answered(world.analyst.get(f"{PATH}/{request}"), 200)["state"] == "granted"


def test_an_owner_sees_its_own_part_and_nothing_of_the_others(world: World) -> None:
    cbp, dos = world.material["cbp-atsp"], world.material["dos-ccd"]
    parts = [
        {"text": "What CBP said.", "sources": [{"item": cbp}]},
        {"text": "What DOS said.", "sources": [{"item": dos}]},
        {"text": "What both said.", "sources": [{"item": cbp}, {"item": dos}]},
    ]
    body = {"kind": "summary", "title": "A title", "case_id": world.material["case"], "parts": parts}
    item = answered(world.analyst.post("/v1/items", json=body), 201)["id"]
    request = asked(world, item)
    seen = world.officer("DOS").get(f"{PATH}/{request}")
    part = answered(seen, 200)["parts"]
    assert [one["owner"] for one in part] == ["DOS"]
    assert part[0]["uses"] == [
        {"part": 1, "sources": [dos], "text": "What DOS said."},
        {"part": 2, "sources": [dos], "text": None},
    ]
    for foreign in (cbp, "CBP", "What both said", "A title"):
        assert foreign not in seen.text
    # Reading it is acknowledging it; the requester sees that.
    states = {one["owner"]: one["state"] for one in answered(world.analyst.get(f"{PATH}/{request}"), 200)["parts"]}
    assert states == {"CBP": "submitted", "DOS": "acknowledged"}


def test_who_has_no_part_in_it_finds_nothing(world: World) -> None:
    request = asked(world, world.lead())
    nothing = world.officer("FBI").get(f"{PATH}/req_{'a' * 26}")
    for stranger in (world.officer("FBI"), world.officer("ICE-HSI"), world.as_("ICE-ERO", "analyst")):
        hidden = stranger.get(f"{PATH}/{request}")
        assert (hidden.status_code, hidden.content) == (404, nothing.content)
    refused(world.officer("FBI").post(f"{PATH}/{request}/decision", json={"decision": "granted"}), 404)
    refused(world.as_("ICE-ERO", "analyst").post(f"{PATH}/{request}/withdraw"), 404)


def test_only_owners_answer_and_only_for_themselves(world: World) -> None:
    request = asked(world, world.lead())
    refused(world.analyst.post(f"{PATH}/{request}/decision", json={"decision": "granted"}), 403)
    refused(answer(world, "CBP", request, "granted", owner="DOS"), 403)
    refused(world.as_("DOS", "admin").post(f"{PATH}/{request}/decision", json={"decision": "granted"}), 403)
    refused(answer(world, "DOS", request, "withdrawn"), 422)


def test_a_denial_gives_nothing_and_is_not_revised(world: World) -> None:
    lead = world.dos_lead()
    request = asked(world, lead)
    assert answered(answer(world, "DOS", request, "denied", note="No."), 200)["state"] == "denied"
    refused(answer(world, "DOS", request, "granted"), 409)
    assert codes(refused(world.release(lead), 403)) == {"permission_missing"}


def test_an_owner_may_ask_back(world: World) -> None:
    request = asked(world, world.dos_lead())
    answered(answer(world, "DOS", request, "needs_information", note="For whom?"), 200)
    informed = answered(world.analyst.post(f"{PATH}/{request}/information", json={"text": "For the desk."}), 200)
    assert (informed["state"], informed["parts"][0]["information"]) == ("submitted", ["For the desk."])
    assert answered(answer(world, "DOS", request, "granted"), 200)["state"] == "granted"


def test_conditions_and_parts_are_said_and_hold(world: World) -> None:
    lead = world.dos_lead()
    request = asked(world, lead)
    refused(answer(world, "DOS", request, "granted_with_conditions"), 422)
    refused(answer(world, "DOS", request, "partially_granted"), 422)
    answered(answer(world, "DOS", request, "partially_granted", fields=["/title"]), 200)
    assert "permission_missing" in codes(refused(world.release(lead), 403))
    answered(world.release(lead, fields=["/title"]), 201)
    refused(world.release(lead, fields=["/title", "/parts"]), 403)
    once = world.dos_lead()
    request = asked(world, once)
    answered(answer(world, "DOS", request, "granted_with_conditions", max_uses=1), 200)
    answered(world.release(once), 201)
    assert "grant_exhausted" in codes(refused(world.release(once), 403))


def test_what_is_withdrawn_or_past_its_time_is_not_answered(world: World) -> None:
    request = asked(world, world.dos_lead())
    assert answered(world.analyst.post(f"{PATH}/{request}/withdraw"), 200)["state"] == "withdrawn"
    refused(answer(world, "DOS", request, "granted"), 409)
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    late = asked(world, world.dos_lead(), expires_at=soon)
    time.sleep(1.1)
    refused(answer(world, "DOS", late, "granted"), 409)


def test_nobody_is_asked_who_has_no_part_in_the_item(world: World) -> None:
    lead = world.dos_lead()
    refused(world.analyst.post(PATH, json={**draft(world, lead), "owners": ["CBP"]}), 422)
    refused(world.analyst.post(PATH, json={**draft(world, lead), "item": "itm_" + "a" * 26}), 404)
    refused(world.as_("ICE-ERO", "analyst").post(PATH, json=draft(world, lead)), 422)
