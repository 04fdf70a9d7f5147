"""The nine steps. Each does one thing over HTTP, checks what came back, and says what it saw."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tests.story import ledger, rogue
from tests.story.people import Person
from tests.story.stage import Stage


class NotAsTold(AssertionError):
    """A step did not show what it should."""


def shown(fact: object, what: str) -> None:
    """Go on only if *fact* holds."""
    if not fact:
        raise NotAsTold(what)


def answered(response: httpx.Response, status: int) -> Any:
    """The JSON of a response that has to have this status."""
    if response.status_code != status:
        raise NotAsTold(
            f"{response.request.url.path}: {response.status_code} instead of {status}: {response.text[:800]}"
        )
    return response.json()


@dataclass
class Story:
    """What the steps hand on to one another."""

    stage: Stage
    probes: Path
    case: str = ""
    lists: dict[str, str] = field(default_factory=dict)
    lead: str = ""
    refusal: dict[str, Any] = field(default_factory=dict)
    grants: dict[str, str] = field(default_factory=dict)

    @property
    def analyst(self) -> Person:
        return self.stage.cast.person("ana.analyst", "ICE-HSI", "analyst")

    def officer(self, agency: str) -> Person:
        return self.stage.cast.person(f"olga.{agency.lower()}", agency, "release_officer")

    @property
    def auditor(self) -> Person:
        return self.stage.cast.person("augusta.auditor", "DHS", "auditor")

    def terms(self, **changes: Any) -> dict[str, Any]:
        """A search that is in order."""
        return {
            "case_id": self.case,
            "predicate": "investigation",
            "purpose": "criminal_investigation",
            "legal_basis": "18 USC 1546 (invented case)",
            "evidentiary_basis": "reasonable_suspicion",
            "basis_text": "Tip and document review; see the case file.",
            "prior_methods": ["name search", "document check"],
            "exigent": False,
            "probe": {
                "kind": "photo",
                "acquisition": "photograph handed in by a witness",
                "acquired_at": "2026-01-05T10:00:00Z",
                "lawful_acquisition_attested": True,
                "edits": [],
            },
            "partners": ["cbp-atsp", "dos-ccd"],
            "max_candidates": 20,
            "deadline_seconds": 30,
            **changes,
        }

    def wish(self, item: str, agency: str, **changes: Any) -> dict[str, Any]:
        """A release that is complete."""
        return {
            "item": item,
            "recipient": {"agency": agency, "person": "R. Invented", "address": "1 Sample Street, Exampleton"},
            "action": "release",
            "purpose": "criminal_investigation",
            "case_id": self.case,
            **changes,
        }

    def grant(self, owner: str, **changes: Any) -> dict[str, Any]:
        """A grant of *owner* for exactly the lead's release to FBI."""
        now = datetime.now(UTC)
        return {
            "owner": owner,
            "recipients": ["FBI"],
            "action": "release",
            "purposes": ["criminal_investigation"],
            "scope": {"items": [self.lead]},
            "valid_from": (now - timedelta(minutes=1)).isoformat(),
            "valid_until": (now + timedelta(days=30)).isoformat(),
            "onward": False,
            "evidence": {
                "reference": f"{owner} letter 2026-17 (invented)",
                "sha256": hashlib.sha256(f"letter of {owner}".encode()).hexdigest(),
            },
            **changes,
        }

    def release(self, item: str, agency: str, **changes: Any) -> httpx.Response:
        """Ask for a release with a fresh key."""
        return self.analyst.post("/v1/releases", self.wish(item, agency, **changes), key=str(uuid.uuid4()))

    def search(self, probe: Path, **changes: Any) -> dict[str, Any]:
        """Submit a probe and wait until every leg is final."""
        accepted = answered(self.analyst.submit(self.terms(**changes), probe.read_bytes()), 202)
        return answered(self.analyst.get(f"/v1/searches/{accepted['id']}", wait=40), 200)

    def candidates(self, item: str) -> list[dict[str, Any]]:
        """A candidate list, as the analyst may look at it."""
        found: list[dict[str, Any]] = answered(self.analyst.get(f"/v1/items/{item}"), 200)["content"]["candidates"]
        return found


def one_search_goes_out(story: Story) -> Iterator[str]:
    """An ICE-HSI analyst submits a probe to both partners under an open case"""
    opened = answered(story.analyst.post("/v1/cases", {"reference": "HSI-2026-0001", "title": "Invented case"}), 201)
    story.case = opened["id"]
    probe = min(story.probes.glob("hit-*.jpg"))
    with Image.open(probe) as image:
        shown(image.format == "JPEG" and len(image.getexif()) > 0, "the probe is a JPEG with EXIF")
        shown("comment" in image.info, "the probe has a comment")
        yield f"probe {probe.name}: JPEG, {image.width}x{image.height}, with EXIF and a comment, drawn for this story"
    accepted = answered(story.analyst.submit(story.terms(), probe.read_bytes()), 202)
    shown({leg["partner"] for leg in accepted["legs"]} == {"cbp-atsp", "dos-ccd"}, "both partners have a leg")
    yield f"accepted as {accepted['id']}, under case {story.case}"
    done = answered(story.analyst.get(f"/v1/searches/{accepted['id']}", wait=40), 200)
    shown(done["status"] == "complete", f"the search is complete, not {done['status']}: {done['legs']}")
    story.lists = {leg["partner"]: leg["item"] for leg in done["legs"]}
    for name in story.lists:
        sent = httpx.get(f"{story.stage.partners[name]}/standin/log", trust_env=False).json()
        shown("exif" not in str(sent).lower() or '"carried_exif": true' not in str(sent).lower(), "no EXIF was sent")
    yield "both partners have answered"


def two_partners_compare(story: Story) -> Iterator[str]:
    """CBP answers at once, DOS later; both compare image content"""
    for partner, item in story.lists.items():
        found = story.candidates(item)
        shown(found, f"{partner} returned candidates")
        ranks = [one["rank"] for one in found]
        shown(ranks == sorted(ranks), "candidates are ranked")
        best = ", ".join(f"{one['reference']} ({one['score']:.2f})" for one in found[:3])
        yield f"{partner}: {len(found)} candidates, leads and no more: {best}"
    other = sorted(story.probes.glob("hit-*.jpg"))[1]
    again = story.search(other)
    lists = {leg["partner"]: leg["item"] for leg in again["legs"]}
    for partner, item in lists.items():
        first = [one["reference"] for one in story.candidates(story.lists[partner])]
        second = [one["reference"] for one in story.candidates(item)]
        shown(first != second, "another probe gives another list")
    yield f"another probe ({other.name}) gives another list at both"
    stranger = story.search(min(story.probes.glob("stranger-*.jpg")))
    shown({leg["state"] for leg in stranger["legs"]} == {"no_hit"}, f"a stranger gives no hit: {stranger['legs']}")
    yield "a stranger gives “no hit” at both, and that answer is the owner's, too"


def three_results_are_marked(story: Story) -> Iterator[str]:
    """Each result is an item marked with its owner, who is the register's"""
    for partner, owner in (("cbp-atsp", "CBP"), ("dos-ccd", "DOS")):
        item = answered(story.analyst.get(f"/v1/items/{story.lists[partner]}"), 200)
        shown(item["owners"] == [owner], f"the owner of {partner}'s list is {owner}")
        marking = item["markings"][0]
        yield f"{item['id']}: owner {owner}, source {marking['source_system']}, agreement {marking['agreement']}"
    stranger = story.stage.cast.person("fred.fbi", "FBI", "analyst")
    hidden = stranger.get(f"/v1/items/{story.lists['dos-ccd']}")
    nothing = stranger.get("/v1/items/itm_" + "a" * 26)
    shown(hidden.status_code == nothing.status_code == 404 and hidden.content == nothing.content, "404, the same bytes")
    yield "for FBI the DOS list does not exist: the same 404, byte for byte, as for an id that was made up"
    lied = story.search(min(story.probes.glob("hit-*.jpg")), partners=[rogue.NAME])
    leg = lied["legs"][0]
    shown(leg["state"] == "quarantined" and leg["item"] is None, f"the lie is quarantined: {leg}")
    claim = f"registered as {rogue.REGISTERED_OWNER}'s, claimed to be {rogue.CLAIMED_OWNER}'s"
    yield f"a partner {claim}: leg {leg['state']}, {leg['reason']}, no item"
    query = {"tag": "search:leg:ended", "subject": lied["id"]}
    recorded = answered(story.auditor.get("/v1/audit/entries", **query), 200)["items"]
    shown(recorded[0]["detail"]["state"] == "quarantined", "the quarantine is on record")
    yield f"and that is on record: {recorded[0]['event_id']}"


def four_reviewed_and_written(story: Story) -> Iterator[str]:
    """Two reviewers give every candidate a disposition; the analyst writes a lead from both lists"""
    for name in ("rita.reviewer", "rolf.reviewer"):
        reviewer = story.stage.cast.person(name, "ICE-HSI", "reviewer")
        for item in story.lists.values():
            findings = [
                {"candidate": one["id"], "disposition": "possible" if n == 0 else "excluded"}
                for n, one in enumerate(story.candidates(item))
            ]
            answered(reviewer.post(f"/v1/items/{item}/reviews", {"dispositions": findings}), 201)
        yield f"{name} has been through both lists"
    lead = {
        "kind": "lead",
        "title": "Possible candidate in two systems",
        "case_id": story.case,
        "parts": [
            {
                "text": "The first candidate appears in both lists.",
                "sources": [{"item": i} for i in story.lists.values()],
            }
        ],
    }
    written = answered(story.analyst.post("/v1/items", lead), 201)
    shown(written["owners"] == ["CBP", "DOS"], f"the lead's owners are CBP and DOS, not {written['owners']}")
    story.lead = written["id"]
    yield f"lead {story.lead}: owners CBP and DOS, copied in for good"


def five_refused(story: Story) -> Iterator[str]:
    """Passing the lead to FBI is refused; CBP's own list may go to ICE-ERO within DHS"""
    refused = story.release(story.lead, "FBI")
    problem = answered(refused, 403)
    shown(refused.headers["content-type"].startswith("application/problem+json"), "a problem document")
    missing = sorted(one["owner"] for one in problem["missing"])
    shown(missing == ["CBP", "DOS"], f"permission of CBP and DOS is missing, not of {missing}")
    shown(problem["permission_request"]["owners"] == ["CBP", "DOS"], "a permission request is drafted")
    story.refusal = problem
    for reason in problem["reasons"]:
        yield f"refused: {reason['code']} — {reason['detail']}"
    yield "a permission request to CBP and DOS is drafted, ready to send"
    within = answered(story.release(story.lists["cbp-atsp"], "ICE-ERO"), 201)
    shown(within["grants"] == [], "no grant was needed within DHS")
    yield f"CBP's own list to ICE-ERO is permitted by CBP's file: release {within['id']}"


def six_granted(story: Story) -> Iterator[str]:
    """DOS's release officer records a grant, CBP's too; the same release is now permitted"""
    for owner in ("DOS", "CBP"):
        grant = answered(story.officer(owner).post("/v1/admin/grants", story.grant(owner)), 201)
        shown(grant["status"] == "active", "the grant is active")
        story.grants[owner] = grant["id"]
        yield f"{owner}'s officer recorded grant {grant['id']}"
    released = answered(story.release(story.lead, "FBI"), 201)
    shown(sorted(released["grants"]) == sorted(story.grants.values()), "the release names the grants it relied on")
    disclosure = released["disclosure"]
    yield f"released as {released['id']}; disclosure {disclosure['id']} to {disclosure['recipient']['agency']} on record"
    package = answered(story.analyst.get(f"/v1/releases/{released['id']}/package"), 200)
    shown(package["item"]["owners"] == ["CBP", "DOS"], "the copy carries its owners")
    yield f"the copy carries {len(package['item']['markings'])} markings and its caveats"
    recipient = story.stage.cast.person("fred.fbi", "FBI", "analyst")
    path = f"/v1/releases/{released['id']}"
    withheld = answered(recipient.get(f"{path}/package"), 409)
    caveats = [one["code"] for one in withheld["caveats"]]
    yield f"FBI is not shown it before it has accepted {', '.join(caveats)}"
    answered(recipient.post(f"{path}/acceptance", {"caveats": caveats}), 201)
    received = answered(recipient.get(f"{path}/package"), 200)
    # Whether it is only a part of the item is said to those alone who may know of the rest.
    unsaid = dict.fromkeys(("partial", "left_out"))
    shown(received == package | {"item": package["item"] | unsaid}, "FBI is shown the same copy")
    yield "FBI has accepted the caveats, which is on record, and is shown the same copy"


def seven_revoked(story: Story) -> Iterator[str]:
    """DOS revokes; the next release is refused"""
    path = f"/v1/admin/grants/{story.grants['DOS']}/revoke"
    revoked = answered(story.officer("DOS").post(path, {"reason": "the matter was re-assigned"}), 200)
    shown(revoked["status"] == "revoked", "the grant is revoked")
    problem = answered(story.release(story.lead, "FBI"), 403)
    codes = sorted({one["code"] for one in problem["reasons"]})
    shown([one["owner"] for one in problem["missing"]] == ["DOS"], "only DOS's permission is missing now")
    yield f"refused again: {', '.join(codes)}"


def eight_audited(story: Story) -> Iterator[str]:
    """The audit verifies; one row changed by SQL in a copy is named"""
    report = ledger.verified(story.stage)
    shown(report["faults"] == [], f"the audit has no faults: {report['faults']}")
    yield f"{report['entries']} entries, {report['pending']} pending, 0 faults"
    event, faults = ledger.tampered_copy(story.stage)
    named = [one for one in faults if one.get("event_id") == event]
    shown(named, f"the verifier names {event}: {faults}")
    yield f"in a copy one row was changed by SQL; the verifier says: {named[0]['kind']} {event}"


def nine_counted(story: Story) -> Iterator[str]:
    """How many searches were requested of each partner since 2017-01-01, by purpose"""
    report = answered(story.auditor.get("/v1/oversight/reports/searches", since="2017-01-01"), 200)
    for row in report["rows"]:
        if row["partner"] == rogue.NAME:
            shown(row["requested"] == row["failed"] == 1, f"one search of the rogue, which failed, not {row}")
            continue
        shown(row["requested"] == 3, f"three searches of each partner, not {row}")
        yield (
            f"{row['partner']}, {row['purpose']}: {row['requested']} requested, {row['sent']} sent, "
            f"{row['answered']} answered ({row['no_hit']} no hit), {row['retried']} retried"
        )
    partners = {row["partner"] for row in report["rows"]}
    shown(partners == {"cbp-atsp", "dos-ccd", rogue.NAME}, f"every partner is in the report: {partners}")
    shown("no records before" in report["coverage"]["note"], "the report says from when on there are records")
    yield report["coverage"]["note"]


STEPS: tuple[Callable[[Story], Iterator[str]], ...] = (
    one_search_goes_out,
    two_partners_compare,
    three_results_are_marked,
    four_reviewed_and_written,
    five_refused,
    six_granted,
    seven_revoked,
    eight_audited,
    nine_counted,
)
