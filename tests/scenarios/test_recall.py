"""Taking back: what an owner announces stops what is made of it, too, and reaches everyone who got it."""

from typing import Any

import httpx

from tests.scenarios.world import World, answered, codes, refused


def announced(world: World, owner: str, item: str, kind: str = "withdrawn") -> dict[str, Any]:
    body = {"kind": kind, "text": "It was the wrong record."}
    return dict(answered(world.officer(owner).post(f"/v1/items/{item}/notices", json=body), 201))


def fresh_lead(world: World) -> tuple[str, str]:
    """A reviewed list of DOS that no other test uses, and a lead made of it."""
    made = world.unreviewed
    for sub in ("rita", "rolf"):
        world.review(made["dos-ccd"], sub)
    return made["dos-ccd"], world.lead(made["dos-ccd"], case=made["case"])


def received(who: httpx.Client, notice: str) -> list[dict[str, Any]]:
    found = answered(who.get("/v1/notices/received"), 200)["items"]
    return [one for one in found if one["notice"] == notice]


def test_a_withdrawal_stops_what_is_made_of_it_and_suspends_grants(world: World) -> None:
    listed, lead = fresh_lead(world)
    grant = world.granted("DOS", lead)
    answered(world.release(lead), 201)
    notice = announced(world, "DOS", listed)
    assert (notice["affected"], notice["recipients"]) == (2, 1)
    assert codes(refused(world.release(lead), 403)) == {"item_recalled", "permission_missing"}
    assert answered(world.officer("DOS").get(f"/v1/admin/grants/{grant}"), 200)["status"] == "suspended"
    # What is written of it afterwards is reached as well.
    later = world.lead(lead)
    world.granted("DOS", later)
    assert codes(refused(world.release(later), 403)) == {"item_recalled"}
    # The component that asked may still look, or it could not mend what it wrote.
    answered(world.analyst.get(f"/v1/items/{lead}"), 200)
    answered(world.officer("DOS").post(f"/v1/notices/{notice['id']}/lift"), 200)
    assert answered(world.officer("DOS").get(f"/v1/admin/grants/{grant}"), 200)["status"] == "active"
    answered(world.release(lead), 201)
    answered(world.release(later), 201)


def test_every_recipient_is_told_and_acknowledges(world: World) -> None:
    listed, lead = fresh_lead(world)
    world.granted("DOS", lead, recipients=["FBI", "STATE-EX-POLICE"])
    answered(world.release(lead, "FBI"), 201)
    answered(world.release(lead, "STATE-EX-POLICE"), 201)
    notice = announced(world, "DOS", listed, "corrected")["id"]
    fbi, police = world.as_("FBI", "analyst"), world.as_("STATE-EX-POLICE", "analyst")
    for recipient in (fbi, police):
        (copy,) = received(recipient, notice)
        assert (copy["kind"], copy["item"], copy["acknowledged_at"]) == ("corrected", lead, None)
    assert answered(fbi.post(f"/v1/notices/{notice}/acknowledge"), 200) == {"copies": 1}
    assert answered(fbi.post(f"/v1/notices/{notice}/acknowledge"), 200) == {"copies": 0}
    (standing,) = [one for one in _own(world, "DOS") if one["id"] == notice]
    assert (standing["recipients"], standing["acknowledged"]) == (2, 1)
    assert received(world.as_("DOJ", "analyst"), notice) == []
    refused(world.as_("DOJ", "analyst").post(f"/v1/notices/{notice}/acknowledge"), 404)


def test_a_notice_lifted_leaves_another_one_standing(world: World) -> None:
    listed, lead = fresh_lead(world)
    grant = world.granted("DOS", lead)
    first, second = announced(world, "DOS", listed), announced(world, "DOS", lead, "disputed")
    answered(world.officer("DOS").post(f"/v1/notices/{first['id']}/lift"), 200)
    assert answered(world.officer("DOS").get(f"/v1/admin/grants/{grant}"), 200)["status"] == "suspended"
    assert "item_recalled" in codes(refused(world.release(lead), 403))
    answered(world.officer("DOS").post(f"/v1/notices/{second['id']}/lift"), 200)
    answered(world.release(lead), 201)
    refused(world.officer("DOS").post(f"/v1/notices/{second['id']}/lift"), 409)


def test_only_an_owner_takes_back_and_others_learn_nothing(world: World) -> None:
    listed, _ = fresh_lead(world)
    body = {"kind": "withdrawn", "text": "Not ours."}
    hidden = world.officer("CBP").post(f"/v1/items/{listed}/notices", json=body)
    nothing = world.officer("CBP").post(f"/v1/items/itm_{'a' * 26}/notices", json=body)
    assert (hidden.status_code, hidden.content) == (404, nothing.content)
    refused(world.analyst.post(f"/v1/items/{listed}/notices", json=body), 403)
    notice = announced(world, "DOS", listed)["id"]
    refused(world.officer("CBP").post(f"/v1/notices/{notice}/lift"), 404)
    assert all(one["id"] != notice for one in _own(world, "CBP"))


def _own(world: World, owner: str) -> list[dict[str, Any]]:
    return list(answered(world.officer(owner).get("/v1/notices", params={"limit": 100}), 200)["items"])
