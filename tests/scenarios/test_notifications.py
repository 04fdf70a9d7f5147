"""Over the API: those whom an act concerns find a message in their agency's inbox, and nobody else learns of it."""

from typing import Any

import httpx

from tests.scenarios.world import World, answered, refused

PATH = "/v1/notifications"


def about(who: httpx.Client, of: str, **query: str) -> list[dict[str, Any]]:
    """The messages about that id in the caller's inbox, all pages of it."""
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = answered(who.get(PATH, params={"after": after, "limit": "100", **query}), 200)
        found += page["items"]
        after = page["next"]
    return [one for one in found if of in one["about"].values()]


def asked(world: World) -> str:
    lead = world.lead(world.material["dos-ccd"])
    draft = refused(world.release(lead), 403)["permission_request"]
    return str(answered(world.analyst.post("/v1/permission-requests", json=draft), 201)["id"])


def test_an_owner_is_asked_and_the_requester_answered(world: World) -> None:
    request = asked(world)
    officer = world.officer("DOS")
    (message,) = about(officer, request)
    assert (message["subject"], message["about"]) == ("permission_requested", {"permission_request": request})
    for stranger in (world.officer("CBP"), world.as_("DOS", "analyst"), world.as_("DOS", "liaison"), world.analyst):
        assert about(stranger, request) == []
        refused(stranger.post(f"{PATH}/{message['id']}/read"), 404)
    assert answered(officer.post(f"{PATH}/{message['id']}/read"), 200)["read_at"] is not None
    assert about(officer, request, unread="true") == []
    answered(officer.post(f"/v1/permission-requests/{request}/decision", json={"decision": "denied"}), 200)
    (message,) = about(world.analyst, request)
    assert (message["subject"], message["read_at"]) == ("permission_answered", None)


def test_unread_is_true_or_false_and_nothing_like_it(world: World) -> None:
    for lax in ("1", "yes", "on", "True", ""):
        refused(world.analyst.get(PATH, params={"unread": lax}), 422)


def test_what_waits_for_an_address_is_the_service_s_keepers_to_see(world: World) -> None:
    # No agency of the shipped register has an address, so nothing waits for one.
    assert answered(world.auditor.get(f"{PATH}/undelivered"), 200)["items"] == []


def test_overdue_corrections_and_traces_can_be_asked_for(world: World) -> None:
    assert answered(world.officer("DOS").get("/v1/notices/overdue"), 200)["complete"] is True
    assert answered(world.auditor.get("/v1/oversight/reports/corrections"), 200)["rows"] is not None
    listed = world.material["dos-ccd"]
    refused(world.auditor.get("/v1/oversight/reports/trace"), 422)
    rows = answered(world.officer("DOS").get("/v1/oversight/reports/trace", params={"item": listed}), 200)["rows"]
    assert rows[0]["item"] == listed
    foreign = world.officer("CBP").get("/v1/oversight/reports/trace", params={"item": listed})
    assert answered(foreign, 200)["rows"] == []
