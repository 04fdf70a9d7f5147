"""What a grant permits and what it does not: each member of its terms, over HTTP."""

import time
from datetime import UTC, datetime, timedelta

from tests.scenarios.world import World, answered, codes, fresh, refused

MISSING = {"permission_missing"}


def test_items_means_exactly_the_item_passed_on(world: World) -> None:
    listed, lead = world.material["dos-ccd"], world.dos_lead()
    world.granted("DOS", lead)
    answered(world.release(lead), 201)
    # Neither its source, nor what derives from it, nor a lead just like it.
    assert codes(refused(world.release(listed), 403)) == MISSING
    assert codes(refused(world.release(world.lead(lead)), 403)) == MISSING
    assert codes(refused(world.release(world.dos_lead()), 403)) == MISSING


def test_a_grant_for_the_sources_is_none_for_what_is_made_of_them(world: World) -> None:
    listed = world.unreviewed["dos-ccd"]
    world.granted("DOS", listed)
    answered(world.release(listed), 201)
    made_of_it = world.lead(listed)
    assert "permission_missing" in codes(refused(world.release(made_of_it), 403))


def test_every_owner_has_to_permit(world: World) -> None:
    lead = world.lead()
    assert [one["owner"] for one in refused(world.release(lead), 403)["missing"]] == ["CBP", "DOS"]
    world.granted("CBP", lead)
    problem = refused(world.release(lead), 403)
    assert [one["owner"] for one in problem["missing"]] == ["DOS"]
    assert problem["permission_request"]["owners"] == ["DOS"]
    world.granted("DOS", lead)
    answered(world.release(lead), 201)


def test_an_author_s_own_words_do_not_free_what_stands_beside_them(world: World) -> None:
    parts = [{"text": "Mine."}, {"text": "Theirs.", "sources": [{"item": world.material["dos-ccd"]}]}]
    body = {"kind": "note", "title": "t", "case_id": world.material["case"], "parts": parts}
    made = answered(world.analyst.post("/v1/items", json=body), 201)
    assert made["owners"] == ["DOS", "ICE-HSI"]
    assert [one["owner"] for one in refused(world.release(made["id"]), 403)["missing"]] == ["DOS"]


def test_case_means_items_whose_every_part_of_that_owner_is_of_the_case(world: World) -> None:
    mine, other = world.unreviewed, world.material
    for item in (mine["dos-ccd"],):
        world.review(item, "rita")
        world.review(item, "rolf")
    world.granted("DOS", scope={"case_id": mine["case"]})
    answered(world.release(mine["dos-ccd"], case_id=mine["case"]), 201)
    answered(world.release(world.lead(mine["dos-ccd"]), case_id=mine["case"]), 201)
    # Under another case, with a part of another case, or of another owner: no.
    assert codes(refused(world.release(mine["dos-ccd"], case_id=other["case"]), 403)) == MISSING
    mixed = world.lead(mine["dos-ccd"], other["dos-ccd"])
    assert codes(refused(world.release(mixed, case_id=mine["case"]), 403)) == MISSING
    assert "permission_missing" in codes(refused(world.release(mine["cbp-atsp"], case_id=mine["case"]), 403))


def test_partner_and_kind_are_standing_and_narrow(world: World) -> None:
    lead, note = world.dos_lead(), world.lead(world.material["dos-ccd"], kind="note")
    grant = world.standing("DOS", scope={"partner": "dos-ccd", "kind": "note"})
    answered(world.release(note), 201)
    assert codes(refused(world.release(lead), 403)) == MISSING
    world.revoke("DOS", grant)
    assert "grant_revoked" in codes(refused(world.release(note), 403))
    # A grant of DOS for CBP's system is for nothing that DOS owns.
    grant = world.standing("DOS", scope={"partner": "cbp-atsp"})
    assert codes(refused(world.release(lead), 403)) == MISSING
    world.revoke("DOS", grant)


def test_all_members_of_a_scope_have_to_match(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", scope={"items": [lead], "kind": "note"})
    world.granted("DOS", scope={"items": [lead], "partner": "cbp-atsp"})
    assert codes(refused(world.release(lead), 403)) == MISSING


def test_components_and_subpurposes_are_reached_only_when_the_grant_says_so(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead, recipients=["DOJ"])
    assert codes(refused(world.release(lead, "FBI"), 403)) == MISSING
    answered(world.release(lead, "DOJ"), 201)
    world.granted("DOS", lead, recipients=["DOJ"], include_components=True)
    answered(world.release(lead, "FBI"), 201)
    assert codes(refused(world.release(lead, "FBI", purpose="threat_to_life"), 403)) == MISSING
    world.granted("DOS", lead, include_subpurposes=True)
    answered(world.release(lead, "FBI", purpose="threat_to_life"), 201)
    # Never upwards.
    other = world.dos_lead()
    world.granted("DOS", other, recipients=["FBI"], include_components=True, purposes=["threat_to_life"])
    assert codes(refused(world.release(other, "DOJ", purpose="threat_to_life"), 403)) == MISSING
    assert codes(refused(world.release(other, "FBI"), 403)) == MISSING


def test_fields_let_through_what_they_name_and_nothing_else(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead, fields=["/title", "/parts/0/text"])
    assert codes(refused(world.release(lead), 403)) == MISSING
    assert codes(refused(world.release(lead, fields=["/title", "/parts/0"]), 403)) == MISSING
    assert codes(refused(world.release(lead, fields=["/titl"]), 403)) == MISSING
    made = answered(world.release(lead, fields=["/parts/0/text"]), 201)["id"]
    package = answered(world.accepted(made).get(f"/v1/releases/{made}/package"), 200)
    assert package["item"]["content"] == {"/parts/0/text": "See the lists."}
    # Who was not told of the rest is not told that there is one.
    assert (package["item"]["partial"], package["item"]["left_out"]) == (None, None)
    own = answered(world.analyst.get(f"/v1/releases/{made}/package"), 200)
    assert (own["item"]["partial"], own["item"]["left_out"]) == (True, [])


def test_a_field_that_leads_nowhere_is_told_and_releases_nothing(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead)
    for pointer in ("/nothing", "/parts/9", "/parts/-1", "/parts/00", "/title/x", "/~2", "title"):
        assert world.release(lead, fields=[pointer]).status_code in (403, 422), pointer


def test_a_counted_grant_is_used_up(world: World) -> None:
    lead = world.dos_lead()
    grant = world.granted("DOS", lead, max_uses=2)
    answered(world.release(lead), 201)
    answered(world.release(lead), 201)
    assert codes(refused(world.release(lead), 403)) == {"permission_missing", "grant_exhausted"}
    assert answered(world.officer("DOS").get(f"/v1/admin/grants/{grant}"), 200)["uses"] == 2
    # A dry run is no use, and neither is a refusal.
    assert answered(world.analyst.post("/v1/decisions", json=world.wish(lead)), 200)["decision"] == "deny"
    assert answered(world.officer("DOS").get(f"/v1/admin/grants/{grant}"), 200)["uses"] == 2


def test_before_and_after_its_period_a_grant_is_none(world: World) -> None:
    lead, now = world.dos_lead(), datetime.now(UTC)
    world.granted("DOS", lead, valid_from=(now + timedelta(hours=1)).isoformat())
    assert codes(refused(world.release(lead), 403)) == MISSING
    until = datetime.now(UTC) + timedelta(seconds=1.5)
    world.granted("DOS", lead, valid_until=until.isoformat())
    made = answered(world.release(lead), 201)["id"]
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 0.05)
    assert codes(refused(world.release(lead), 403)) == {"permission_missing", "grant_expired"}
    # What was released under it cannot be fetched any more either.
    refused(world.as_("FBI", "analyst").get(f"/v1/releases/{made}/package"), 403)


def test_a_period_that_is_none_is_refused(world: World) -> None:
    lead, now = world.dos_lead(), datetime.now(UTC)
    for start, end in ((now, now), (now, now - timedelta(days=1)), (now - timedelta(days=2), now - timedelta(days=1))):
        refused(world.grant("DOS", lead, valid_from=start.isoformat(), valid_until=end.isoformat()), 422)


def test_passing_on_what_was_received_needs_a_grant_that_says_onward(world: World) -> None:
    lead = world.dos_lead()
    fbi = world.as_("FBI", "analyst")
    case = world.case(fbi)
    world.granted("DOS", lead, action="view")
    answered(fbi.get(f"/v1/items/{lead}"), 200)
    world.granted("DOS", lead, recipients=["DOJ"])
    assert codes(refused(world.release(lead, "DOJ", who=fbi, case_id=case), 403)) == MISSING
    world.granted("DOS", lead, recipients=["DOJ"], onward=True)
    answered(world.release(lead, "DOJ", who=fbi, case_id=case), 201)


def test_use_in_proceedings_is_another_thing_than_release(world: World) -> None:
    lead, listed = world.dos_lead(), world.material["cbp-atsp"]
    world.granted("DOS", lead)
    assert codes(refused(world.release(lead, action="use_in_proceedings"), 403)) == MISSING
    world.granted("DOS", lead, action="use_in_proceedings")
    answered(world.release(lead, action="use_in_proceedings"), 201)
    # Within the department too, where CBP's release needs nothing.
    answered(world.release(listed, "ICE-ERO"), 201)
    assert codes(refused(world.release(listed, "ICE-ERO", action="use_in_proceedings"), 403)) == MISSING


def test_civil_enforcement_needs_permission_naming_it(world: World) -> None:
    civil = "civil_immigration_enforcement"
    lead = world.lead(world.material["cbp-atsp"])
    answered(world.release(lead, "ICE-ERO"), 201)
    assert codes(refused(world.release(lead, "ICE-ERO", purpose=civil), 403)) == MISSING
    world.granted("CBP", lead, recipients=["ICE-ERO"], include_subpurposes=True)
    assert codes(refused(world.release(lead, "ICE-ERO", purpose=civil), 403)) == MISSING
    world.granted("CBP", lead, recipients=["ICE-ERO"], purposes=[civil])
    answered(world.release(lead, "ICE-ERO", purpose=civil), 201)


def test_two_partial_grants_never_add_up(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead, purposes=["threat_to_life"])
    world.granted("DOS", lead, recipients=["DOJ"])
    world.granted("DOS", lead, fields=["/title"])
    world.granted("DOS", lead, fields=["/parts"])
    assert codes(refused(world.release(lead), 403)) == MISSING
    assert codes(refused(world.release(lead, fields=["/title", "/parts"]), 403)) == MISSING


def test_a_caveat_of_the_grant_binds_the_release(world: World) -> None:
    lead = world.dos_lead()
    grant = world.granted("DOS", lead, caveats=["department_only"])
    assert codes(refused(world.release(lead), 403)) == {"caveat_unmet"}
    world.revoke("DOS", grant)
    world.granted("DOS", lead, caveats=["no_onward"])
    made = answered(world.release(lead), 201)["id"]
    package = answered(world.analyst.get(f"/v1/releases/{made}/package"), 200)
    assert {one["code"] for one in package["caveats"]} >= {"lead_only", "no_onward"}


def test_a_lead_of_lists_that_were_not_reviewed_does_not_leave(world: World) -> None:
    listed = world.unreviewed["dos-ccd"]
    lead = world.lead(listed)
    world.granted("DOS", lead)
    assert codes(refused(world.release(lead), 403)) == {"not_reviewed"}
    answered(world.review(listed, "rita"), 201)
    assert codes(refused(world.release(lead), 403)) == {"not_reviewed"}
    assert answered(world.review(listed, "rolf"), 201)["complete"] is True
    answered(world.release(lead), 201)


def test_a_disclosure_is_on_record_with_name_and_address(world: World) -> None:
    made = answered(world.release(world.material["cbp-atsp"], "ICE-ERO"), 201)
    disclosure = made["disclosure"]
    assert disclosure["recipient"] == {
        "agency": "ICE-ERO",
        "person": "R. Invented",
        "address": "1 Sample Street, Exampleton",
    }
    assert disclosure["owners"] == ["CBP"]
    with world.stack.owner() as owner:
        row = owner.execute(
            "SELECT person, address, purpose FROM disclosure WHERE id = %s", [disclosure["id"]]
        ).fetchone()
    assert row == ("R. Invented", "1 Sample Street, Exampleton", "criminal_investigation")


def test_a_dry_run_promises_nothing_and_changes_nothing_but_the_audit(world: World) -> None:
    lead = world.lead()
    before = _rows(world)
    asked = answered(world.analyst.post("/v1/decisions", json=world.wish(lead)), 200)
    assert asked["decision"] == "deny"
    assert sorted(one["owner"] for one in asked["missing"]) == ["CBP", "DOS"]
    after = _rows(world)
    assert {name for name in before if before[name] != after[name]} == {"audit_entry", "decision"}
    assert len(asked["policy_digest"]) >= 32
    entries = world.auditor.get("/v1/audit/entries", params={"subject": asked["decision_id"]}).json()["items"]
    assert [entry["detail"]["channel"] for entry in entries] == ["dry_run"]


def _rows(world: World) -> dict[str, int]:
    names = ("release", "disclosure", "permission_grant", "idempotency_key", "item", "decision", "audit_entry")
    with world.stack.owner() as owner:
        return {name: owner.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_an_exigent_release_is_not_made_by_the_ordinary_way(world: World) -> None:
    refused(world.release(world.dos_lead(), exigent=True), 422)


def test_looking_is_no_release(world: World) -> None:
    wish = world.wish(world.dos_lead(), action="view")
    refused(world.analyst.post("/v1/releases", json=wish, headers={"Idempotency-Key": fresh()}), 422)


def test_a_moment_that_could_not_be_read_again_is_not_stored(world: World) -> None:
    """Year 9999 west of Greenwich is year 10000 in UTC: stored, it would end every later look at the register."""
    lead = world.dos_lead()
    for changes in ({"valid_until": "9999-12-31T23:59:59-12:00"}, {"valid_from": "0001-01-01T00:00:00+14:00"}):
        refused(world.grant("DOS", lead, **changes), 422)
    world.granted("DOS", lead, valid_from="0001-01-01T00:00:00Z", valid_until="9999-12-31T23:59:59Z")
    answered(world.officer("DOS").get("/v1/admin/grants", params={"limit": 1}), 200)
    answered(world.release(lead), 201)
