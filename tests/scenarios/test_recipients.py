"""A recipient's own people are callers, too: they accept, look at their copy, and pass it on as its owners permit."""

from tests.scenarios.test_not_there import face
from tests.scenarios.world import UNKNOWN, World, answered, codes, fresh, refused

CODES = ["lead_only", "no_onward"]
"""What DOS puts on everything, and what its stand-in adds."""


def test_a_copy_is_shown_after_its_caveats_are_accepted(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead)
    made = answered(world.release(lead), 201)
    path, fbi = f"/v1/releases/{made['id']}", world.as_("FBI", "analyst")
    assert [one["code"] for one in made["caveats"]] == CODES
    assert made["acceptance"] is None
    problem = refused(fbi.get(f"{path}/package"), 409)
    assert [one["code"] for one in problem["caveats"]] == CODES
    assert problem["caveats"][0]["text"].startswith("An investigative lead only.")
    assert problem["acceptance"] == f"{path}/acceptance"
    refused(fbi.post(f"{path}/acceptance", json={"caveats": []}), 422)
    refused(fbi.post(f"{path}/acceptance", json={"caveats": [*CODES, "department_only"]}), 422)
    accepted = answered(fbi.post(f"{path}/acceptance", json={"caveats": CODES}), 201)
    assert accepted["acceptance"]["by"] == "analyst.fbi"
    assert answered(fbi.get(f"{path}/package"), 200)["item"]["id"] == lead
    for tag in ("release:package:withheld", "release:caveats:accepted"):
        query = {"tag": tag, "subject": made["id"]}
        assert len(answered(world.auditor.get("/v1/audit/entries", params=query), 200)["items"]) == 1, tag


def test_only_the_recipient_accepts_and_others_learn_nothing(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead)
    made = answered(world.release(lead), 201)["id"]
    for stranger in (world.as_("CBP", "analyst"), world.analyst, world.as_("DOJ", "analyst")):
        nothing = stranger.post(f"/v1/releases/{UNKNOWN['release']}/acceptance", json={"caveats": CODES})
        assert face(stranger.post(f"/v1/releases/{made}/acceptance", json={"caveats": CODES})) == face(nothing)
        assert nothing.status_code == 404


def test_releases_are_listed_for_both_sides(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead)
    made = answered(world.release(lead), 201)["id"]

    def listed(agency: str, **query: str) -> set[str]:
        found, after = set(), ""
        while True:
            page = answered(
                world.as_(agency, "analyst").get("/v1/releases", params={"limit": 100, "after": after, **query}), 200
            )
            assert all("content" not in one for one in page["items"])
            found |= {one["id"] for one in page["items"]}
            if page["complete"]:
                return found
            after = page["next"]

    assert made in listed("FBI", direction="received")
    assert made not in listed("FBI", direction="made")
    assert made in listed("ICE-HSI", direction="made")
    assert made not in listed("CBP")
    refused(world.analyst.get("/v1/releases", params={"direction": "both"}), 422)


def test_a_recipient_asks_for_permission_and_passes_on(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead)
    first = answered(world.release(lead), 201)["id"]
    fbi = world.accepted(first)
    case = world.case(fbi)
    refused(fbi.get(f"/v1/items/{lead}"), 404)
    wish = {"case_id": case, "who": fbi}
    refusal = refused(world.release(lead, "STATE-EX-POLICE", **wish), 403)
    assert codes(refusal) == {"permission_missing"}
    # The draft in the refusal is ready to be sent by the holder, too, and DOS's yes lets it go one hop further.
    asked = answered(fbi.post("/v1/permission-requests", json=refusal["permission_request"]), 201)["id"]
    path = f"/v1/permission-requests/{asked}/decision"
    answered(world.officer("DOS").post(path, json={"decision": "granted", "onward": True}), 200)
    dry = {**world.wish(lead, "STATE-EX-POLICE"), "case_id": case}
    assert answered(fbi.post("/v1/decisions", json=dry), 200)["decision"] == "permit"
    key = fresh()
    second = answered(world.release(lead, "STATE-EX-POLICE", key=key, **wish), 201)
    assert (second["hop"], second["received_by"]) == (2, [first])
    assert answered(world.release(lead, "STATE-EX-POLICE", key=key, **wish), 201)["id"] == second["id"]
    # Both recipients are in DOS's accounting.
    report = answered(world.officer("DOS").get("/v1/oversight/reports/disclosures?since=2020-01-01"), 200)
    found = {row["release_id"]: (row["component"], row["recipient"]) for row in report["rows"]}
    assert found[first] == ("ICE-HSI", "FBI")
    assert found[second["id"]] == ("FBI", "STATE-EX-POLICE")


def test_a_recipient_writes_from_its_copy(world: World) -> None:
    lead = world.dos_lead()
    world.granted("DOS", lead)
    fbi = world.accepted(answered(world.release(lead), 201)["id"])
    body = {
        "kind": "note",
        "title": "From the copy",
        "case_id": world.case(fbi),
        "parts": [{"text": "See the lead.", "sources": [{"item": lead}]}],
    }
    note = answered(fbi.post("/v1/items", json=body), 201)
    assert note["owners"] == ["DOS"]
    answered(fbi.get(f"/v1/items/{note['id']}"), 200)
    # What FBI writes is FBI's to look at, and not that of the component that once asked DOS.
    refused(world.analyst.get(f"/v1/items/{note['id']}"), 404)
