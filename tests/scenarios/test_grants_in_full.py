"""Grants in full: how they stand and end, what an owner asks for in return, how far they go, and a part that is lifted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.scenarios.world import World, answered, codes, refused

CIVIL = "civil_immigration_enforcement"


def read(world: World, owner: str, grant: str) -> dict[str, Any]:
    return dict(answered(world.officer(owner).get(f"/v1/admin/grants/{grant}"), 200))


def done_to(entry: dict[str, Any]) -> list[str]:
    return [step["change"] for step in entry["history"]]


def supersede(world: World, owner: str, grant: str, item: str, **changes: Any) -> Any:
    body = world.grant_body(owner, item, **changes)
    return world.officer(owner).post(f"/v1/admin/grants/{grant}/supersede", json=body)


def test_a_grant_that_is_superseded_stops_and_its_successor_holds(world: World) -> None:
    lead = world.dos_lead()
    first = world.granted("DOS", lead)
    made = answered(world.release(lead), 201)["id"]
    second = answered(supersede(world, "DOS", first, lead, recipients=["STATE-EX-POLICE"]), 201)
    assert (second["status"], second["supersedes"], done_to(second)) == ("active", first, ["recorded"])
    old = read(world, "DOS", first)
    assert (old["status"], old["superseded_by"]) == ("superseded", second["id"])
    assert done_to(old) == ["recorded", "superseded"]
    assert codes(refused(world.release(lead), 403)) == {"permission_missing", "grant_superseded"}
    refused(world.analyst.get(f"/v1/releases/{made}/package"), 403)
    answered(world.release(lead, "STATE-EX-POLICE"), 201)
    # What has ended is not ended again, nor confirmed, and has no second successor.
    refused(supersede(world, "DOS", first, lead), 409)
    refused(world.officer("DOS").post(f"/v1/admin/grants/{first}/revoke", json={"reason": "x"}), 409)


def test_what_cannot_replace_a_grant_leaves_it_as_it_was(world: World) -> None:
    lead = world.dos_lead()
    grant = world.granted("DOS", lead)
    body = world.grant_body("CBP", lead)
    refused(world.officer("DOS").post(f"/v1/admin/grants/{grant}/supersede", json=body), 422)
    refused(supersede(world, "DOS", grant, lead, caveats=["unheard_of"]), 422)
    refused(supersede(world, "DOS", grant, lead, recipients=["*"]), 422)
    refused(supersede(world, "CBP", grant, lead), 404)
    answered(world.release(lead), 201)


def test_a_standing_successor_waits_and_the_old_grant_stops_all_the_same(world: World) -> None:
    # For a recipient of its own: a standing grant is about everybody's leads, and its end is told wherever it would do.
    lead, to = world.dos_lead(), "CONTRACTOR-EX"
    grant = world.granted("DOS", lead, recipients=[to])
    body = world.grant_body("DOS", recipients=[to], scope={"partner": "dos-ccd", "kind": "lead"})
    new = answered(world.officer("DOS").post(f"/v1/admin/grants/{grant}/supersede", json=body), 201)
    assert new["status"] == "pending"
    assert codes(refused(world.release(lead, to), 403)) == {"permission_missing", "grant_superseded"}
    second = world.as_("DOS", "release_officer", sub="second.DOS")
    assert answered(second.post(f"/v1/admin/grants/{new['id']}/confirm"), 200)["status"] == "active"
    answered(world.release(lead, to), 201)
    world.revoke("DOS", new["id"])


def test_a_grant_entered_in_error_names_the_releases_that_relied_on_it(world: World) -> None:
    lead = world.dos_lead()
    grant = world.granted("DOS", lead, recipients=["FBI", "STATE-EX-POLICE"])
    made = [answered(world.release(lead, agency), 201)["id"] for agency in ("FBI", "STATE-EX-POLICE")]
    path = f"/v1/admin/grants/{grant}/entered-in-error"
    told = answered(world.officer("DOS").post(path, json={"reason": "it was another item"}), 200)
    assert told["status"] == "entered_in_error"
    assert [(one["release"], one["recipient"]) for one in told["releases"]] == [
        (made[0], "FBI"),
        (made[1], "STATE-EX-POLICE"),
    ]
    assert done_to(told) == ["recorded", "entered_in_error"]
    assert told["history"][1]["reason"] == "it was another item"
    assert codes(refused(world.release(lead), 403)) == {"permission_missing", "grant_entered_in_error"}
    # Twice is once, and it is found out later of what was revoked, too.
    assert answered(world.officer("DOS").post(path, json={"reason": "x"}), 200)["releases"] == told["releases"]
    other = world.granted("DOS", lead)
    world.revoke("DOS", other)
    again = f"/v1/admin/grants/{other}/entered-in-error"
    told = answered(world.officer("DOS").post(again, json={"reason": "it never was one"}), 200)
    assert (told["releases"], done_to(told)) == ([], ["recorded", "revoked", "entered_in_error"])


def test_what_has_run_out_says_so_without_anybody_writing_it_down(world: World) -> None:
    lead = world.dos_lead()
    counted = world.granted("DOS", lead, max_uses=1)
    answered(world.release(lead), 201)
    brief = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    short = world.granted("DOS", lead, valid_until=brief)
    assert (read(world, "DOS", counted)["status"], read(world, "DOS", short)["status"]) == ("exhausted", "active")
    while datetime.now(UTC).isoformat() < brief:
        pass
    listed = answered(world.officer("DOS").get("/v1/admin/grants", params={"after": short[:-1], "limit": 1}), 200)
    assert (listed["items"][0]["id"], listed["items"][0]["status"]) == (short, "expired")


def test_duties_bind_the_release(world: World) -> None:
    lead = world.dos_lead()
    owed = [
        {"duty": "notify_owner"},
        {"duty": "attach_caveat", "caveat": "no_onward"},
        {"duty": "purge_by", "days": 30},
    ]
    grant = world.granted("DOS", lead, duties=owed)
    assert [one["duty"] for one in read(world, "DOS", grant)["duties"]] == [one["duty"] for one in owed]
    made = answered(world.release(lead, "FBI"), 201)
    gone = datetime.fromisoformat(made["purge_by"])
    assert gone - datetime.fromisoformat(made["released_at"]) == timedelta(days=30)
    assert made["disclosure"]["purge_by"] == made["purge_by"]
    package = answered(world.analyst.get(f"/v1/releases/{made['id']}/package"), 200)
    assert datetime.fromisoformat(package["purge_by"]) == gone
    assert "no_onward" in {one["code"] for one in package["caveats"]}
    told = world.auditor.get("/v1/audit/entries", params={"subject": grant, "tag": "grant:register:relied"}).json()
    assert [one["subjects"]["release"] for one in told["items"]] == [made["id"]]


def test_a_copy_past_its_day_is_handed_out_no_more(world: World) -> None:
    lead = world.dos_lead()
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    world.granted("DOS", lead, duties=[{"duty": "purge_by", "at": soon}])
    made = answered(world.release(lead), 201)["id"]
    answered(world.analyst.get(f"/v1/releases/{made}/package"), 200)
    while datetime.now(UTC).isoformat() < soon:
        pass
    assert "caveat_unmet" in codes(refused(world.analyst.get(f"/v1/releases/{made}/package"), 403))
    assert codes(refused(world.release(lead), 403)) == {"caveat_unmet"}


def test_verify_first_is_not_met_by_anything_but_the_owner_s_word(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead, duties=[{"duty": "verify_first"}])
    assert codes(refused(world.release(lead), 403)) == {"caveat_unmet"}


@pytest.mark.parametrize(
    "duty",
    [
        {"duty": "tell_the_press"},
        {"duty": "notify_owner", "how": "by pigeon"},
        {"duty": "purge_by"},
        {"duty": "purge_by", "days": 3, "at": "2030-01-01T00:00:00Z"},
        {"duty": "purge_by", "at": "2020-01-01T00:00:00Z"},
        {"duty": "purge_by", "days": True},
        {"duty": "attach_caveat", "caveat": "unheard_of"},
        {"duty": "attach_caveat"},
        {},
        "notify_owner",
    ],
)
def test_a_duty_that_nobody_knows_is_not_recorded(world: World, duty: Any) -> None:
    refused(world.grant("DOS", world.dos_lead(), duties=[duty]), 422)


def test_one_found_stored_refuses(world: World) -> None:
    """As after a return to an older broker: what it cannot read it does not pass over."""
    lead = world.dos_lead()
    grant = world.granted("DOS", lead)
    with world.stack.owner() as owner:
        owner.execute("""UPDATE permission_grant SET duties = '[{"duty": "tell_the_press"}]' WHERE id = %s""", [grant])
    assert codes(refused(world.release(lead), 403)) == {"caveat_unmet"}
    assert read(world, "DOS", grant)["duties"][0]["duty"] == "unreadable"


def test_hops_go_with_onward(world: World) -> None:
    lead = world.dos_lead()
    refused(world.grant("DOS", lead, max_hops=2), 422)
    for hops in (0, 6, True, "2"):
        refused(world.grant("DOS", lead, onward=True, max_hops=hops), 422)
    assert read(world, "DOS", world.granted("DOS", lead, onward=True, max_hops=3))["max_hops"] == 3
    assert read(world, "DOS", world.granted("DOS", lead, onward=True))["max_hops"] == 1
    assert read(world, "DOS", world.granted("DOS", lead))["max_hops"] == 0


def lifted(world: World, owner: str, item: str) -> dict[str, Any]:
    made = world.officer(owner).post(f"/v1/items/{item}/lift", json={"reason": "it is in the open"})
    return dict(answered(made, 201))


def confirmed(world: World, owner: str, grant: str) -> None:
    second = world.as_(owner, "release_officer", sub=f"second.{owner}")
    assert answered(second.post(f"/v1/admin/grants/{grant}/confirm"), 200)["status"] == "active"


def test_a_lift_needs_a_second_officer_and_then_nothing_more_of_that_owner(world: World) -> None:
    lead = world.lead()
    lift = lifted(world, "DOS", lead)
    assert (lift["status"], lift["lift"], lift["recipients"], lift["action"]) == ("pending", True, [], None)
    path = f"/v1/admin/grants/{lift['id']}/confirm"
    refused(world.officer("DOS").post(path), 403)
    assert codes(refused(world.release(lead), 403)) == {"permission_missing"}
    confirmed(world, "DOS", lift["id"])
    # The other owner is still to be asked, and to lift is not to speak for it.
    missing = refused(world.release(lead), 403)["missing"]
    assert [one["owner"] for one in missing] == ["CBP"]
    world.granted("CBP", lead, recipients=["FBI", "STATE-EX-POLICE"])
    for agency in ("FBI", "STATE-EX-POLICE"):
        made = answered(world.release(lead, agency), 201)
        assert lift["id"] in made["grants"]
        assert made["disclosure"]["owners"] == ["CBP", "DOS"]
    assert "DOS" in answered(world.analyst.get(f"/v1/items/{lead}"), 200)["owners"]


def test_a_lift_reaches_neither_sources_nor_what_is_made_of_it_nor_civil_enforcement(world: World) -> None:
    lead = world.dos_lead()
    lift = lifted(world, "DOS", lead)["id"]
    confirmed(world, "DOS", lift)
    answered(world.release(lead), 201)
    assert codes(refused(world.release(world.material["dos-ccd"]), 403)) == {"permission_missing"}
    assert codes(refused(world.release(world.lead(lead)), 403)) == {"permission_missing"}
    assert "permission_missing" in codes(refused(world.release(lead, purpose=CIVIL), 403))
    # It ends like any other.
    world.revoke("DOS", lift)
    assert codes(refused(world.release(lead), 403)) == {"permission_missing", "grant_revoked"}
    # And it rests, like any other, while the owner has something to say about the item.
    again = lifted(world, "DOS", lead)["id"]
    confirmed(world, "DOS", again)
    notice = {"kind": "disputed", "text": "It may be wrong."}
    answered(world.officer("DOS").post(f"/v1/items/{lead}/notices", json=notice), 201)
    assert read(world, "DOS", again)["status"] == "suspended"
    assert "item_recalled" in codes(refused(world.release(lead), 403))


def test_only_an_owner_lifts_and_only_its_own_part(world: World) -> None:
    lead = world.dos_lead()
    body = {"reason": "x"}
    for agency in ("CBP", "DHS", "FBI", "ICE-HSI"):
        nothing = world.officer(agency).post("/v1/items/itm_" + "a" * 26 + "/lift", json=body)
        theirs = world.officer(agency).post(f"/v1/items/{lead}/lift", json=body)
        assert (nothing.status_code, nothing.content) == (theirs.status_code, theirs.content)
        refused(theirs, 404)
    for who in (world.as_("STATE-EX", "liaison"), world.analyst, world.as_("DOS", "admin")):
        refused(who.post(f"/v1/items/{lead}/lift", json=body), 403)
    refused(world.as_("DOS", "release_officer", "admin", sub="both").post(f"/v1/items/{lead}/lift", json=body), 403)


def test_a_refusal_to_act_on_the_register_is_on_record(world: World) -> None:
    lead = world.dos_lead()
    grant = world.granted("DOS", lead)
    curious = world.as_("CBP", "release_officer", sub="curious.officer")
    refused(curious.post(f"/v1/admin/grants/{grant}/entered-in-error", json={"reason": "x"}), 404)
    refused(curious.post("/v1/admin/grants", json=world.grant_body("DOS", lead)), 403)
    query = {"tag": "call:access:refused", "actor": "curious.officer"}
    entries = world.auditor.get("/v1/audit/entries", params=query).json()["items"]
    assert sorted((entry["detail"]["route"], entry["detail"]["status"]) for entry in entries) == [
        ("grant:entered_in_error", 404),
        ("grant:record", 403),
    ]
