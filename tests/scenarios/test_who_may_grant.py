"""Only owners speak for owners: every way in which somebody else might, refused."""

import httpx
import pytest

from tests.scenarios.world import World, answered, codes, refused


def test_an_officer_grants_for_the_own_agency_and_for_no_other(world: World) -> None:
    lead = world.lead()
    for agency in ("CBP", "DHS", "DOJ", "FBI", "ICE", "ICE-HSI", "STATE-EX"):
        refused(world.grant("DOS", lead, who=world.officer(agency)), 403)
    # Not even the department speaks for its agency, nor the agency for its department.
    refused(world.grant("CBP", lead, who=world.officer("DHS")), 403)
    world.granted("DOS", lead)


def test_the_requester_s_side_cannot_grant(world: World) -> None:
    lead = world.lead()
    for roles in (("analyst",), ("reviewer",), ("analyst", "reviewer"), ("auditor",), ("policy_author",), ("admin",)):
        refused(world.grant("DOS", lead, who=world.as_("ICE-HSI", *roles)), 403)
    both = world.as_("ICE-HSI", "analyst", "release_officer", sub="ana.analyst")
    refused(world.grant("DOS", lead, who=both), 403)
    refused(world.release(lead), 403)


def test_an_administrator_may_never_grant_whatever_else_he_is(world: World) -> None:
    lead = world.dos_lead()
    for roles in (("admin",), ("admin", "release_officer"), ("release_officer", "admin"), ("admin", "liaison")):
        refused(world.grant("DOS", lead, who=world.as_("DOS", *roles)), 403)
    pending = answered(world.grant("DOS", scope={"kind": "note"}), 201)["id"]
    second = world.as_("DOS", "admin", "release_officer", sub="second.admin")
    refused(second.post(f"/v1/admin/grants/{pending}/confirm"), 403)
    refused(second.post(f"/v1/admin/grants/{pending}/revoke", json={"reason": "x"}), 403)


@pytest.mark.parametrize("agency", ["ICE", "ICE-HSI", "ICE-ERO", "CBP", "DHS"])
def test_a_liaison_of_the_department_that_holds_the_item_cannot_record(world: World, agency: str) -> None:
    refused(world.grant("DOS", world.dos_lead(), who=world.as_(agency, "liaison")), 403)


@pytest.mark.parametrize("agency", ["DOJ", "FBI"])
def test_a_liaison_of_the_department_that_would_get_it_cannot_record(world: World, agency: str) -> None:
    refused(world.grant("DOS", world.dos_lead(), who=world.as_(agency, "liaison")), 403)


def liaison(world: World, sub: str, agency: str = "STATE-EX") -> httpx.Client:
    return world.as_(agency, "liaison", sub=sub)


def test_a_liaison_s_record_permits_nothing_until_another_liaison_confirms(world: World) -> None:
    lead = world.dos_lead()
    made = answered(world.grant("DOS", lead, who=liaison(world, "lia")), 201)
    assert made["status"] == "pending"
    assert codes(refused(world.release(lead), 403)) == {"permission_missing"}
    refused(liaison(world, "lia").post(f"/v1/admin/grants/{made['id']}/confirm"), 403)
    # The requester, and an officer of the owner, are not the second liaison.
    refused(world.analyst.post(f"/v1/admin/grants/{made['id']}/confirm"), 403)
    refused(world.officer("DOS").post(f"/v1/admin/grants/{made['id']}/confirm"), 403)
    assert codes(refused(world.release(lead), 403)) == {"permission_missing"}
    confirmed = answered(liaison(world, "leo").post(f"/v1/admin/grants/{made['id']}/confirm"), 200)
    assert (confirmed["status"], confirmed["confirmed_by"]) == ("active", "leo")
    answered(world.release(lead), 201)
    refused(liaison(world, "lou").post(f"/v1/admin/grants/{made['id']}/confirm"), 409)


def test_a_liaison_may_not_belong_to_any_recipient_s_department(world: World) -> None:
    body = {"recipients": ["FBI", "STATE-EX-POLICE"]}
    refused(world.grant("DOS", world.dos_lead(), who=liaison(world, "lia"), **body), 403)


def test_a_liaison_records_no_standing_grant_and_none_without_evidence(world: World) -> None:
    refused(world.grant("DOS", who=liaison(world, "lia"), scope={"partner": "dos-ccd"}), 403)
    body = world.grant_body("DOS", world.dos_lead())
    for evidence in (
        None,
        {},
        {"reference": "x"},
        {"reference": "", "sha256": "0" * 64},
        {"reference": "x", "sha256": "A" * 64},
    ):
        refused(liaison(world, "lia").post("/v1/admin/grants", json={**body, "evidence": evidence}), 422)
    del body["evidence"]
    refused(liaison(world, "lia").post("/v1/admin/grants", json=body), 422)


def test_who_recorded_a_standing_grant_does_not_confirm_it(world: World) -> None:
    made = answered(world.grant("DOS", scope={"partner": "dos-ccd", "kind": "summary"}), 201)
    assert made["status"] == "pending"
    path = f"/v1/admin/grants/{made['id']}/confirm"
    refused(world.officer("DOS").post(path), 403)
    for stranger in (world.officer("CBP"), liaison(world, "lia")):
        refused(stranger.post(path), 404)
    assert answered(world.as_("DOS", "release_officer", sub="second").post(path), 200)["status"] == "active"
    world.revoke("DOS", made["id"])


def test_the_owner_is_told_of_what_was_recorded_for_it(world: World) -> None:
    made = answered(world.grant("DOS", world.dos_lead(), who=liaison(world, "lia")), 201)["id"]
    seen = answered(world.officer("DOS").get(f"/v1/admin/grants/{made}"), 200)
    assert (seen["recorded_by"], seen["recorded_agency"]) == ("lia", "STATE-EX")
    # And it can end it.
    world.revoke("DOS", made)


def test_a_revoked_grant_stays_revoked(world: World) -> None:
    lead = world.dos_lead()
    made = world.granted("DOS", lead)
    answered(world.release(lead), 201)
    world.revoke("DOS", made)
    world.revoke("DOS", made)
    assert codes(refused(world.release(lead), 403)) == {"permission_missing", "grant_revoked"}
    second = world.as_("DOS", "release_officer", sub="second")
    refused(second.post(f"/v1/admin/grants/{made}/confirm"), 409)
