"""A copy that was given out and comes back keeps its owners; what nobody knows is not taken in."""

from tests.scenarios.world import World, answered, fresh, refused


def test_a_copy_comes_back_with_its_owners_whatever_it_says_of_them(world: World) -> None:
    case, lead = world.material["case"], world.lead()
    shown = answered(world.analyst.get(f"/v1/items/{lead}"), 200)
    shown["owners"], shown["markings"] = ["ICE-HSI"], []
    made = answered(world.analyst.post("/v1/imports", json={"package": shown, "case_id": case}), 201)
    assert (made["kind"], made["owners"]) == ("lead", ["CBP", "DOS"])
    assert made["id"] != lead
    missing = refused(world.release(made["id"]), 403)["missing"]
    assert sorted(one["owner"] for one in missing) == ["CBP", "DOS"]


def test_a_candidate_list_retyped_as_json_is_still_its_owner_s(world: World) -> None:
    case, listed = world.material["case"], world.material["dos-ccd"]
    content = world.analyst.get(f"/v1/items/{listed}").text
    body = {"kind": "note", "title": "n", "case_id": case, "parts": [{"text": content[:20_000]}]}
    if len(content) <= 20_000:
        assert "DOS" in answered(world.analyst.post("/v1/items", json=body), 201)["owners"]


def test_what_was_never_given_and_what_was_never_there_are_refused_alike(world: World) -> None:
    stranger = world.as_("FBI", "analyst")
    case = world.case(stranger)
    # In words of its own: an earlier test may have had a lead like all others released to FBI.
    part = {"text": f"Told to nobody, {fresh()}.", "sources": [{"item": world.material["dos-ccd"]}]}
    body = {"kind": "lead", "title": "Possible candidate", "case_id": world.material["case"], "parts": [part]}
    lead = answered(world.analyst.post("/v1/items", json=body), 201)["id"]
    hidden = answered(world.analyst.get(f"/v1/items/{lead}"), 200)
    made_up = hidden | {"content": {"title": "t", "parts": [{"text": "Nobody has ever said so."}]}}
    told = []
    for package in (hidden, made_up):
        problem = refused(stranger.post("/v1/imports", json={"package": package, "case_id": case}), 422)
        told.append({name: value for name, value in problem.items() if name != "instance"})
    assert told[0] == told[1]
    assert told[0]["type"].endswith("no-provenance")


def test_a_redaction_names_its_source_and_says_what_it_leaves_out(world: World) -> None:
    body = {"kind": "redaction", "title": "Redacted", "case_id": world.material["case"], "left_out": ["all names"]}
    refused(world.analyst.post("/v1/items", json=body | {"parts": [{"text": "x"}]}), 422)
    part = {"text": "Somebody was found.", "sources": [{"item": world.material["dos-ccd"]}]}
    made = answered(world.analyst.post("/v1/items", json=body | {"parts": [part]}), 201)
    assert made["owners"] == ["DOS"]
    content = answered(world.analyst.get(f"/v1/items/{made['id']}"), 200)["content"]
    assert content["left_out"] == ["all names"]
    refused(world.analyst.post("/v1/items", json=body | {"kind": "note", "parts": [part]}), 422)
