"""Every candidate gets a disposition by two people, neither of them the requester."""

from tests.scenarios.world import World, answered, refused


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
