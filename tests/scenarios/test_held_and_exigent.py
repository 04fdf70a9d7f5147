"""Over the running service: a release that waits for its permission, one that cannot wait, and what hangs on a grant."""

import time
from typing import Any

import httpx

from tests.scenarios.test_not_there import face
from tests.scenarios.world import World, answered, codes, fresh, refused

DANGER = {"danger": "A child was taken this morning and the car was seen an hour ago."}


def held(world: World, item: str, **changes: Any) -> httpx.Response:
    body = {**world.wish(item), **changes}
    return world.analyst.post("/v1/releases/held", json=body, headers={"Idempotency-Key": fresh()})


def ended(world: World, path: str) -> dict[str, Any]:
    """The held release once the worker has looked at it."""
    for _ in range(100):
        found: dict[str, Any] = answered(world.analyst.get(path), 200)
        if found["status"] != "held":
            break
        time.sleep(0.2)
    return found


def test_a_held_release_is_made_when_its_permission_arrives(world: World) -> None:
    lead = world.dos_lead()
    response = held(world, lead)
    waiting = answered(response, 202)
    path = f"/v1/releases/held/{waiting['id']}"
    assert response.headers["Location"] == path
    assert (waiting["status"], [one["owner"] for one in waiting["missing"]]) == ("held", ["DOS"])
    assert codes(waiting) == {"permission_missing"}
    refused(held(world, lead, exigent=DANGER), 422)
    stranger = world.as_("ICE-ERO", "analyst")
    nothing = face(stranger.get("/v1/releases/held/hld_" + "a" * 26))
    assert face(stranger.get(path)) == nothing
    assert face(stranger.post(f"{path}/withdraw")) == nothing
    other = answered(held(world, world.dos_lead()), 202)["id"]
    answered(world.analyst.post(f"/v1/releases/held/{other}/withdraw"), 200)
    grant = world.granted("DOS", lead)
    done = ended(world, path)
    assert done["status"] == "released"
    made = answered(world.analyst.get(f"/v1/releases/{done['release']}"), 200)
    assert (made["grants"], made["item"]) == ([grant], lead)
    # With the permission there, nothing waits.
    assert answered(held(world, lead), 201)["grants"] == [grant]


def test_what_hangs_on_a_grant_is_its_owner_s_to_see(world: World) -> None:
    lead = world.lead()
    grant = world.granted("DOS", lead)
    waiting = answered(held(world, lead), 202)["id"]
    path = f"/v1/admin/grants/{grant}/impact"
    found = answered(world.officer("DOS").get(path), 200)
    assert found["releases"] == {"items": [], "next": None, "complete": True}
    assert [one["id"] for one in found["held"]["items"]] == [waiting]
    world.granted("CBP", lead)
    done = ended(world, f"/v1/releases/held/{waiting}")
    found = answered(world.auditor.get(path), 200)
    assert [(one["id"], one["recipient"]) for one in found["releases"]["items"]] == [(done["release"], "FBI")]
    assert [(one["agency"], one["releases"]) for one in found["recipients"]] == [("FBI", 1)]
    assert found["held"]["items"] == []
    nothing = face(world.officer("CBP").get("/v1/admin/grants/gra_" + "a" * 26 + "/impact"))
    assert face(world.officer("CBP").get(path)) == nothing


def test_in_danger_the_owner_is_told_and_answers_afterwards(world: World) -> None:
    lead = world.dos_lead()
    refused(world.release(lead, exigent=True), 422)
    refused(world.release(lead, exigent={"danger": "Danger!"}), 422)
    refused(world.release(lead, exigent=DANGER, action="use_in_proceedings"), 422)
    assert codes(refused(world.release(lead, exigent=False), 403)) == {"permission_missing"}
    made = answered(world.release(lead, exigent=DANGER), 201)
    assert (made["grants"], made["danger"]) == ([], DANGER["danger"])
    fbi = world.accepted(made["id"])
    answered(fbi.get(f"/v1/releases/{made['id']}/package"), 200)
    dos = world.officer("DOS")
    [shown] = [
        one
        for one in answered(dos.get("/v1/exigent-releases", params={"limit": 100}), 200)["items"]
        if one["id"] == made["id"]
    ]
    assert (shown["danger"], [part["state"] for part in shown["parts"]]) == (DANGER["danger"], ["silent"])
    path = f"/v1/releases/{made['id']}/ratification"
    refused(world.officer("CBP").post(path, json={"decision": "refused"}), 404)
    refused(world.analyst.post(path, json={"decision": "ratified"}), 403)
    answered(dos.post(path, json={"decision": "refused", "note": "There was no danger."}), 200)
    refused(dos.post(path, json={"decision": "ratified"}), 409)
    assert "exigent_refused" in codes(refused(fbi.get(f"/v1/releases/{made['id']}/package"), 403))
    received = answered(fbi.get("/v1/notices/received", params={"limit": 100}), 200)["items"]
    assert [one["text"] for one in received if one["release"] == made["id"]] == ["There was no danger."]
    report = answered(world.auditor.get("/v1/oversight/reports/exigent?since=2020-01-01"), 200)
    [row] = [one for one in report["rows"] if one["release"] == made["id"]]
    assert (row["outcome"], row["owner"]) == ("refused", "DOS")
