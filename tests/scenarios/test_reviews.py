"""Every candidate gets a disposition by two people, neither of them the requester."""

from tests.scenarios.world import World, answered, codes, refused


def test_the_requester_never_reviews_what_was_asked_for(world: World) -> None:
    listed = world.unreviewed["cbp-atsp"]
    self_reviewing = world.as_("ICE-HSI", "analyst", "reviewer", sub="ana.analyst")
    first = answered(world.analyst.get(f"/v1/items/{listed}"), 200)["content"]["candidates"][0]["id"]
    body = {"dispositions": [{"candidate": first, "disposition": "possible"}]}
    refused(self_reviewing.post(f"/v1/items/{listed}/reviews", json=body), 403)
    refused(world.analyst.post(f"/v1/items/{listed}/reviews", json=body), 403)


def test_one_reviewer_twice_is_one_reviewer(world: World) -> None:
    listed = world.unreviewed["cbp-atsp"]
    first = answered(world.review(listed, "rita"), 201)
    assert (first["complete"], first["reviewers"]) == (False, 1)
    refused(world.review(listed, "rita"), 409)
    refused(world.review(listed, "rita", disposition="possible"), 409)
    # The same person with other roles is still the same person.
    again = world.as_("ICE-HSI", "reviewer", "analyst", sub="rita")
    candidates = answered(world.analyst.get(f"/v1/items/{listed}"), 200)["content"]["candidates"]
    body = {"dispositions": [{"candidate": one["id"], "disposition": "excluded"} for one in candidates]}
    refused(again.post(f"/v1/items/{listed}/reviews", json=body), 409)
    assert answered(world.review(listed, "rolf"), 201)["complete"] is True


def test_some_of_the_candidates_are_not_all_of_them(world: World) -> None:
    listed = world.unreviewed["cbp-atsp"]
    candidates = answered(world.analyst.get(f"/v1/items/{listed}"), 200)["content"]["candidates"]
    assert len(candidates) > 2
    assert answered(world.review(listed, "rita", slice(0, 1)), 201)["reviewers"] == 0
    assert answered(world.review(listed, "rolf", slice(1, None)), 201)["reviewers"] == 0
    # Two halves of different people are no whole.
    assert answered(world.review(listed, "rosa"), 201)["complete"] is False
    assert answered(world.review(listed, "rita", slice(1, None)), 201)["complete"] is True


def test_only_candidates_of_the_list_and_each_once(world: World) -> None:
    listed = world.unreviewed["cbp-atsp"]
    reviewer = world.as_("ICE-HSI", "reviewer", sub="rita")
    for named in (["c999"], ["c1", "c1"], ["C1"], [""], []):
        body = {"dispositions": [{"candidate": one, "disposition": "excluded"} for one in named]}
        refused(reviewer.post(f"/v1/items/{listed}/reviews", json=body), 422)
    for word in ("match", "identified", "POSSIBLE", ""):
        body = {"dispositions": [{"candidate": "c1", "disposition": word}]}
        refused(reviewer.post(f"/v1/items/{listed}/reviews", json=body), 422)


def test_a_reviewer_of_another_component_sees_nothing_to_review(world: World) -> None:
    listed = world.unreviewed["dos-ccd"]
    body = {"dispositions": [{"candidate": "c1", "disposition": "excluded"}]}
    for agency in ("ICE-ERO", "CBP", "FBI"):
        refused(world.as_(agency, "reviewer").post(f"/v1/items/{listed}/reviews", json=body), 404)


def test_only_a_candidate_list_is_reviewed_and_none_is_written_by_hand(world: World) -> None:
    body = {"dispositions": [{"candidate": "c1", "disposition": "excluded"}]}
    reviewer = world.as_("ICE-HSI", "reviewer", sub="rita")
    refused(reviewer.post(f"/v1/items/{world.dos_lead()}/reviews", json=body), 409)
    written = {"kind": "candidate_list", "title": "t", "case_id": world.material["case"], "parts": [{"text": "x"}]}
    refused(world.analyst.post("/v1/items", json=written), 422)


def test_a_disagreement_is_resolved_by_a_third_and_counted(world: World) -> None:
    made = world.unreviewed
    listed, count = made["cbp-atsp"], {"since": "2017-01-01"}
    before = _reviews(world)
    answered(world.review(listed, "rita", disposition="possible"), 201)
    differing = answered(world.review(listed, "rolf", disposition="excluded"), 201)
    assert (differing["complete"], differing["state"], differing["resolved"]) == (False, "disputed", False)
    lead = world.lead(listed, case=made["case"])
    world.granted("CBP", lead)
    assert codes(refused(world.release(lead), 403)) == {"not_reviewed"}
    rosa = world.as_("ICE-HSI", "reviewer", sub="rosa")
    shown = answered(rosa.get(f"/v1/items/{listed}/reviews"), 200)
    assert shown["withheld"] is True
    assert all(one["dispositions"] == [] for one in shown["candidates"])
    resolved = answered(world.review(listed, "rosa", disposition="excluded"), 201)
    assert (resolved["complete"], resolved["resolved"]) == (True, True)
    assert resolved["disputed"] == differing["disputed"] != []
    answered(world.release(lead), 201)
    after = _reviews(world)
    assert after["disagreed"] - before["disagreed"] == after["resolved_by_third"] - before["resolved_by_third"] == 1
    assert after["still_disputed"] == before["still_disputed"]
    # An owner's officer counts its own lists, and another agency's sees nothing of them.
    own = answered(world.officer("CBP").get("/v1/oversight/reports/reviews", params=count), 200)["rows"]
    assert own[0]["disagreed"] >= 1
    assert answered(world.officer("FBI").get("/v1/oversight/reports/reviews", params=count), 200)["rows"] == []


def _reviews(world: World) -> dict[str, int]:
    found = answered(world.auditor.get("/v1/oversight/reports/reviews", params={"since": "2017-01-01"}), 200)["rows"]
    return {} | next(one for one in found if one["component"] == "ICE-HSI")


def test_a_lead_is_verified_and_corroborated_before_anybody_acts_on_it(world: World) -> None:
    lead = world.dos_lead()
    deed = {"action": "A visit", "description": "Two officers called.", "corroborations": []}
    path = f"/v1/items/{lead}/actions"
    refused(world.analyst.post(path, json=deed), 422)
    same = {"kind": "record", "description": "The other list.", "source": {"item": world.material["cbp-atsp"]}}
    refused(world.analyst.post(path, json=deed | {"corroborations": [same]}), 422)
    outside = {"kind": "witness", "description": "A neighbour."}
    refused(world.analyst.post(path, json=deed | {"corroborations": [outside]}), 422)
    outside |= {"where": "Exampleton", "when": "2026-03-01T12:00:00Z"}
    made = answered(world.analyst.post(path, json=deed | {"corroborations": [same, outside]}), 201)
    assert (made["independent"], made["owners"]) == (1, ["CBP", "DOS", "ICE-HSI"])
    answered(world.analyst.get(f"/v1/items/{made['id']}"), 200)
    answered(world.analyst.post(f"/v1/items/{lead}/outcomes", json={"outcome": "corroborated"}), 201)
    params = {"since": "2017-01-01"}
    [row] = [
        one
        for one in answered(world.auditor.get("/v1/oversight/reports/leads", params=params), 200)["rows"]
        if one["component"] == "ICE-HSI"
    ]
    assert row["actions"] >= 1
    assert row["corroborated"] >= 1
    assert row["actions_without_corroboration"] == 0
    # The owner says that it is not right after all: nobody acts on it any more, and it shows.
    asked = answered(world.analyst.post(f"/v1/items/{lead}/verification-requests", json={"note": "Is it?"}), 201)
    officer = world.officer("DOS")
    listed = answered(officer.get("/v1/verification-requests", params={"limit": 100}), 200)["items"]
    assert asked["id"] in {one["id"] for one in listed}
    answered(officer.post(f"/v1/items/{lead}/verifications", json={"outcome": "not_confirmed"}), 201)
    refused(world.analyst.post(path, json=deed | {"corroborations": [outside]}), 409)
    assert answered(world.analyst.get(f"/v1/items/{lead}/lineage"), 200)["unconfirmed"] == ["DOS"]
    assert codes(refused(world.release(lead), 403)) >= {"caveat_unmet"}
