"""The running service as its callers see it: people with tokens, searches that are in order, items to be passed on.

Each test opens its own case and derives its own lead, so that tests share the service and nothing else.
"""

import hashlib
import io
import json
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx
from PIL import Image

from adapters.faces.samples import hit_probe, stranger_probe
from tests.support.stack import Stack

UNKNOWN = {"item": "itm_" + "a" * 26, "search": "sea_" + "a" * 26, "release": "rel_" + "a" * 26}
ROLES = ("analyst", "reviewer", "release_officer", "liaison", "policy_author", "auditor", "admin")
HIT, OTHER_HIT, STRANGER = hit_probe(0), hit_probe(1), stranger_probe(0)


def small_jpeg(**options: Any) -> bytes:
    """An image that no gallery knows, quick to draw anew."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 150)).save(file, "JPEG", **options)
    return file.getvalue()


def fresh() -> str:
    """An idempotency key that nobody has used."""
    return str(uuid.uuid4())


def answered(response: httpx.Response, status: int) -> Any:
    """The JSON of a response that has to have this status."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:1500]}"
    return response.json()


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of a response that has to have this status."""
    problem: dict[str, Any] = answered(response, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status"} <= problem.keys()
    assert problem["status"] == status
    return problem


def codes(problem: dict[str, Any]) -> set[str]:
    """The reasons of a refused release."""
    return {reason["code"] for reason in problem["reasons"]}


class World:
    """Short ways over one running service."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._people: dict[Any, httpx.Client] = {}

    def as_(self, agency: str, *roles: str, sub: str | None = None, **claims: Any) -> httpx.Client:
        """A client of somebody of that agency with these roles."""
        sub = sub or f"{'-'.join(roles)}.{agency}".lower()
        key = (sub, agency, roles, json.dumps(claims, default=str, sort_keys=True))
        if key not in self._people:
            self._people[key] = self.stack.client(sub, agency, roles, **claims)
        return self._people[key]

    @property
    def analyst(self) -> httpx.Client:
        return self.as_("ICE-HSI", "analyst", sub="ana.analyst")

    def officer(self, agency: str) -> httpx.Client:
        return self.as_(agency, "release_officer")

    @property
    def auditor(self) -> httpx.Client:
        return self.as_("DHS", "auditor")

    def case(self, who: httpx.Client | None = None) -> str:
        body = {"reference": f"HSI-{secrets.token_hex(4)}", "title": "An invented case"}
        return str(answered((who or self.analyst).post("/v1/cases", json=body), 201)["id"])

    def terms(self, case: str, **changes: Any) -> dict[str, Any]:
        """A search that is in order."""
        probe = {
            "kind": "photo",
            "acquisition": "handed in by a witness",
            "acquired_at": "2026-01-05T10:00:00Z",
            "lawful_acquisition_attested": True,
            "edits": [],
        }
        return {
            "case_id": case,
            "predicate": "investigation",
            "purpose": "criminal_investigation",
            "legal_basis": "18 USC 1546 (invented case)",
            "evidentiary_basis": "reasonable_suspicion",
            "basis_text": "See the case file.",
            "prior_methods": ["name search"],
            "exigent": False,
            "probe": probe | changes.pop("probe", {}),
            "partners": ["cbp-atsp", "dos-ccd"],
            "max_candidates": 20,
            "deadline_seconds": 30,
            **changes,
        }

    def submit(
        self,
        terms: dict[str, Any] | bytes,
        probe: bytes = HIT,
        *,
        who: httpx.Client | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        """POST a search."""
        request = terms if isinstance(terms, bytes) else json.dumps(terms).encode()
        files = {"request": (None, request, "application/json"), "probe": ("p.jpg", probe, "image/jpeg")}
        headers = {"Idempotency-Key": key or fresh()}
        return (who or self.analyst).post("/v1/searches", files=files, headers=headers)

    def searched(self, terms: dict[str, Any], probe: bytes = HIT, *, who: httpx.Client | None = None) -> dict[str, Any]:
        """Search, and wait until every leg is final."""
        accepted = answered(self.submit(terms, probe, who=who), 202)
        return self.finished(accepted["id"], who)

    def finished(self, search: str, who: httpx.Client | None = None) -> dict[str, Any]:
        for _ in range(3):
            found = answered((who or self.analyst).get(f"/v1/searches/{search}", params={"wait": 20}), 200)
            if found["status"] in ("complete", "incomplete"):
                break
        return dict(found)

    @cached_property
    def material(self) -> dict[str, str]:
        """Reviewed lists of both partners, and the case they were asked for under: made once, never changed."""
        case = self.case()
        done = self.searched(self.terms(case))
        assert done["status"] == "complete", done
        lists = {leg["partner"]: leg["item"] for leg in done["legs"]}
        for item in lists.values():
            self.review(item, "rita")
            self.review(item, "rolf")
        return {**lists, "case": case, "search": done["id"]}

    @property
    def unreviewed(self) -> dict[str, str]:
        """Fresh lists of both partners that nobody has reviewed, and their case."""
        case = self.case()
        done = self.searched(self.terms(case))
        return {**{leg["partner"]: leg["item"] for leg in done["legs"]}, "case": case}

    def review(self, item: str, sub: str, only: slice = slice(None), disposition: str = "excluded") -> httpx.Response:
        """One reviewer's dispositions of all candidates, or of some."""
        candidates = answered(self.analyst.get(f"/v1/items/{item}"), 200)["content"]["candidates"]
        findings = [{"candidate": one["id"], "disposition": disposition} for one in candidates[only]]
        return self.as_("ICE-HSI", "reviewer", sub=sub).post(
            f"/v1/items/{item}/reviews", json={"dispositions": findings}
        )

    def lead(self, *sources: str, case: str | None = None, kind: str = "lead") -> str:
        """A fresh lead from these items; from both reviewed lists if none is named."""
        used = sources or (self.material["cbp-atsp"], self.material["dos-ccd"])
        body = {
            "kind": kind,
            "title": "Possible candidate",
            "case_id": case or self.material["case"],
            "parts": [{"text": "See the lists.", "sources": [{"item": one} for one in used]}],
        }
        return str(answered(self.analyst.post("/v1/items", json=body), 201)["id"])

    def dos_lead(self) -> str:
        """A fresh lead of DOS alone."""
        return self.lead(self.material["dos-ccd"])

    def wish(self, item: str, agency: str = "FBI", **changes: Any) -> dict[str, Any]:
        """A release that is complete."""
        return {
            "item": item,
            "recipient": {"agency": agency, "person": "R. Invented", "address": "1 Sample Street, Exampleton"},
            "action": "release",
            "purpose": "criminal_investigation",
            "case_id": self.material["case"],
            **changes,
        }

    def release(
        self, item: str, agency: str = "FBI", *, who: httpx.Client | None = None, key: str | None = None, **changes: Any
    ) -> httpx.Response:
        """Ask for a release."""
        headers = {"Idempotency-Key": key or fresh()}
        return (who or self.analyst).post("/v1/releases", json=self.wish(item, agency, **changes), headers=headers)

    def accepted(self, release: str, agency: str = "FBI") -> httpx.Client:
        """Have an analyst of the recipient accept every caveat of a copy; that analyst."""
        who = self.as_(agency, "analyst")
        codes = [one["code"] for one in answered(who.get(f"/v1/releases/{release}"), 200)["caveats"]]
        answered(who.post(f"/v1/releases/{release}/acceptance", json={"caveats": codes}), 201)
        return who

    def grant_body(self, owner: str, item: str | None = None, /, **changes: Any) -> dict[str, Any]:
        """A grant of *owner* for one item's release to FBI."""
        now = datetime.now(UTC)
        return {
            "owner": owner,
            "recipients": ["FBI"],
            "action": "release",
            "purposes": ["criminal_investigation"],
            "scope": {"items": [item]},
            "valid_from": (now - timedelta(minutes=1)).isoformat(),
            "valid_until": (now + timedelta(days=30)).isoformat(),
            "onward": False,
            "evidence": {"reference": f"{owner} letter (invented)", "sha256": hashlib.sha256(b"letter").hexdigest()},
            **changes,
        }

    def grant(
        self, owner: str, item: str | None = None, *, who: httpx.Client | None = None, **changes: Any
    ) -> httpx.Response:
        """Record a grant, as the owner's officer unless said otherwise."""
        return (who or self.officer(owner)).post("/v1/admin/grants", json=self.grant_body(owner, item, **changes))

    def granted(self, owner: str, item: str | None = None, **changes: Any) -> str:
        """Record a grant that has to be active at once; its id."""
        made = answered(self.grant(owner, item, **changes), 201)
        assert made["status"] == "active"
        return str(made["id"])

    def standing(self, owner: str, **changes: Any) -> str:
        """Record a standing grant and have a second officer confirm it; its id."""
        made = answered(self.grant(owner, **changes), 201)
        assert made["status"] == "pending"
        second = self.as_(owner, "release_officer", sub=f"second.{owner}")
        assert answered(second.post(f"/v1/admin/grants/{made['id']}/confirm"), 200)["status"] == "active"
        return str(made["id"])

    def revoke(self, owner: str, grant: str) -> None:
        answered(self.officer(owner).post(f"/v1/admin/grants/{grant}/revoke", json={"reason": "the test is over"}), 200)
