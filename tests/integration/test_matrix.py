"""Every combination of owner, recipient, state of the permission, kind of item, channel and role has the answer it must.

The expected answer is worked out here in a few lines from the field's rules. The rows are put in in a shuffled order, so
that no answer rests on which came first. Once by file (the policy's own suites) and once by API.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from broker.decision import gate
from broker.grants import coverage
from broker.grants.coverage import STATE_OF_THE_GRANT
from broker.items.writer import ItemWriter
from broker.kernel.ids import AgencyId, CaseId, PurposeId
from broker.kernel.words import Action, ItemKind
from broker.policy.engine import PolicyEngine
from broker.policy.question import ShareQuestion, Standing
from broker.policy.source import from_files
from tests.support.edge import Edge, edge
from tests.support.items import an_item
from tests.support.policy_files import lean, shipped
from tests.support.postgres import Database

_SEED: Final = 20261125
OWNERS: Final = (("CBP",), ("DOS",), ("CBP", "DOS"))
RECIPIENTS: Final = ("FBI", "DOS", "CBP", "ICE-ERO", "STATE-EX-POLICE")
STATES: Final = (
    "none",
    "active",
    "pending",
    "revoked",
    "expired",
    "not_yet",
    "other_recipient",
    "other_purpose",
    "other_item",
    "exhausted",
)
KINDS: Final = tuple(ItemKind)
BY_API: Final = (ItemKind.CANDIDATE_LIST, ItemKind.LEAD, ItemKind.COUNT, ItemKind.REDACTION)
"""Kinds that are asked about over the API; the files are asked about all of them."""
ROLES: Final = ("analyst", "reviewer", "release_officer", "liaison", "policy_author", "auditor", "admin")
WITHIN_DHS: Final = {"DHS", "CBP", "ICE", "ICE-HSI", "ICE-ERO"}
MAY: Final = {"release": {"analyst"}, "dry_run": {"analyst"}, "view": {"analyst", "reviewer", "release_officer"}}


@dataclass(frozen=True)
class Cell:
    """One combination. `channel` is release, dry_run or view."""

    owners: tuple[str, ...]
    recipient: str
    state: str
    kind: ItemKind
    channel: str
    role: str


def cells() -> Iterator[Cell]:
    """Every combination for who may ask at all; and for those who may not, one state of each, as it cannot matter."""
    for owners, recipient, state, kind in product(OWNERS, RECIPIENTS, STATES, BY_API):
        yield Cell(owners, recipient, state, kind, "release", "analyst")
        if kind is not ItemKind.LEAD:
            continue
        yield Cell(owners, recipient, state, kind, "dry_run", "analyst")
    for owners, role, channel, kind in product(OWNERS, ROLES, MAY, BY_API[:2]):
        yield Cell(owners, "FBI", "active", kind, channel, role)


def expected(cell: Cell) -> int:
    """The status, by the field's rules: 200 or 201 for yes, 403 for no, 404 for what is not to be known."""
    if cell.role not in MAY[cell.channel]:
        return 403
    if cell.channel == "view":
        # The component that asked looks; an officer in it looks only at what the component owns.
        return 404 if cell.role == "release_officer" else 200
    needing = {
        owner
        for owner in cell.owners
        if owner != cell.recipient and not (owner == "CBP" and cell.recipient in WITHIN_DHS)
    }
    permitted = not needing or cell.state == "active"
    if cell.channel == "dry_run":
        return 200
    return 201 if permitted else 403


def permits(cell: Cell) -> bool:
    """What a dry run has to say."""
    return expected(Cell(cell.owners, cell.recipient, cell.state, cell.kind, "release", "analyst")) == 201


@dataclass
class Ground:
    """A place with an item for each owners × state × kind, and the grants that its state speaks of."""

    place: Edge
    case: str
    items: dict[tuple[tuple[str, ...], str, ItemKind], str]

    def wish(self, cell: Cell) -> dict[str, Any]:
        return {
            "item": self.items[(cell.owners, cell.state, cell.kind)],
            "recipient": {"agency": cell.recipient, "person": "R. Invented", "address": "1 Sample Street"},
            "action": "release",
            "purpose": "criminal_investigation",
            "case_id": self.case,
        }

    async def ask(self, cell: Cell) -> tuple[int, str | None]:
        """Status, and the dry run's word."""
        token = self.place.token("ICE-HSI", cell.role)
        if cell.channel == "view":
            path = f"/v1/items/{self.items[(cell.owners, cell.state, cell.kind)]}"
            return (await self.place.call(token, "GET", path)).status_code, None
        path = "/v1/releases" if cell.channel == "release" else "/v1/decisions"
        response = await self.place.call(token, "POST", path, json=self.wish(cell), key=secrets.token_hex(8))
        said = response.json().get("decision") if response.status_code == 200 else None
        return response.status_code, said


async def laid_out(place: Edge, chance: Random) -> Ground:
    """Items and grants, in a shuffled order."""
    ana = place.token("ICE-HSI", "analyst")
    case = (await place.made(ana, "/v1/cases", {"reference": "MATRIX", "title": "An invented case"}))["id"]
    ground = Ground(place, case, {})
    wanted = list(product(OWNERS, STATES, BY_API))
    chance.shuffle(wanted)
    for owners, state, kind in wanted:
        ground.items[(owners, state, kind)] = await _written(place, case, owners, kind)
    grants = [(owner, state, item) for (owners, state, _), item in ground.items.items() for owner in owners]
    chance.shuffle(grants)
    for owner, state, item in grants:
        await _recorded(place, owner, state, item, case)
    return ground


async def _written(place: Edge, case: str, owners: tuple[str, ...], kind: ItemKind) -> str:
    item = an_item(CaseId(case), owners, kind)
    content: dict[str, Any] = {"candidates": []} if kind is ItemKind.CANDIDATE_LIST else {"title": "t", "parts": []}
    async with place.worker.work.begin() as tx:
        await ItemWriter(place.worker.sealer).write(tx, item, content)
    return str(item.id)


async def _recorded(place: Edge, owner: str, state: str, item: str, case: str) -> None:
    """The grant that a state speaks of, recorded by the owner's officer."""
    if state == "none":
        return
    now, day = datetime.now(UTC), timedelta(days=1)
    recipients = [one for one in RECIPIENTS if one != owner]
    body: dict[str, Any] = {
        "owner": owner,
        "recipients": ["VENDOR-EX"] if state == "other_recipient" else recipients,
        "action": "release",
        "purposes": ["civil_immigration_enforcement"] if state == "other_purpose" else ["criminal_investigation"],
        "scope": {"items": [item]},
        "valid_from": (now + day if state == "not_yet" else now - day).isoformat(),
        "valid_until": (now + timedelta(seconds=0.4) if state == "expired" else now + 9 * day).isoformat(),
        "onward": False,
        "evidence": {"reference": f"{owner} letter (invented)", "sha256": "0" * 64},
    }
    if state == "other_item":
        body["scope"] = {"items": [await _written(place, case, (owner,), ItemKind.NOTE)]}
    if state == "exhausted":
        body |= {"max_uses": 1, "recipients": [*recipients, "VENDOR-EX"]}
    officer = place.token(owner, "release_officer")
    if state == "pending":
        # A liaison's record waits for a second one.
        officer = place.token("STATE-EX", "liaison")
        body["recipients"] = [one for one in recipients if not one.startswith("STATE-EX")]
    made = await place.made(officer, "/v1/admin/grants", body)
    if state == "revoked":
        await place.made(officer, f"/v1/admin/grants/{made['id']}/revoke", {"reason": "no longer"}, status=200)
    if state == "exhausted":
        async with place.worker.work.begin() as tx:
            await tx.write("UPDATE permission_grant SET uses = max_uses WHERE id = %s", (made["id"],))


def test_by_api_every_cell_has_its_answer(fresh_postgres: Database, tmp_path: Path) -> None:
    async def run() -> tuple[int, Counter[int], list[Any]]:
        chance = Random(_SEED)
        async with edge(fresh_postgres, tmp_path) as place:
            ground = await laid_out(place, chance)
            await asyncio.sleep(0.5)
            asked = list(cells())
            chance.shuffle(asked)
            wrong, given = [], Counter[int]()
            for cell in asked:
                status, said = await ground.ask(cell)
                given[status] += 1
                if status != expected(cell) or (said is not None and (said == "permit") is not permits(cell)):
                    wrong.append((cell, status, said))
            return len(asked), given, wrong

    count, given, wrong = asyncio.run(run())
    assert wrong == []
    assert count == len(list(cells()))
    assert min(given[200], given[201], given[403], given[404]) > 0


def questions() -> Iterator[ShareQuestion]:
    """Every combination that an owner's file is asked about."""
    purposes = ("criminal_investigation", "victim_identification", "threat_to_life", "civil_immigration_enforcement")
    for owner, recipient, action, purpose, kind, standing in product(
        ("CBP", "DOS"), RECIPIENTS, Action, purposes, KINDS, (Standing.ORIGINAL, Standing.PERMISSION, Standing.NONE)
    ):
        if owner != recipient:
            yield ShareQuestion(
                owner=AgencyId(owner),
                recipient=AgencyId(recipient),
                action=action,
                purpose=PurposeId(purpose),
                item_kind=kind,
                standing=standing,
            )


def allowed(asked: ShareQuestion) -> bool:
    """What the shipped files have to say, by the field's rules."""
    criminal = asked.purpose != "civil_immigration_enforcement"
    within = asked.owner == "CBP" and asked.recipient in WITHIN_DHS
    if asked.standing is Standing.PERMISSION or (within and criminal and asked.action is Action.RELEASE):
        return True
    return asked.standing is Standing.ORIGINAL and asked.action is Action.VIEW


def test_by_file_every_cell_has_its_answer() -> None:
    """The owners' files over every combination that a question can be: what the API's answers rest on."""
    engine = PolicyEngine(from_files(lean(shipped())))
    asked = list(questions())
    Random(_SEED).shuffle(asked)
    assert [one for one in asked if bool(engine.ask(one)) is not allowed(one)] == []
    assert len(asked) + len(list(cells())) >= 3_000


def test_traitor_that_forgets_the_state_of_a_grant_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a judge that does not look whether a grant has begun, or is used up."""
    whole = coverage.lacks
    monkeypatch.setattr(gate, "lacks", lambda *question: whole(*question) - STATE_OF_THE_GRANT)

    async def run() -> set[str]:
        async with edge(fresh_postgres, tmp_path) as place:
            ground = await laid_out(place, Random(_SEED))
            asked = [
                one for one in cells() if (one.owners, one.channel, one.kind) == (("DOS",), "release", ItemKind.LEAD)
            ]
            return {one.state for one in asked if (await ground.ask(one))[0] != expected(one)}

    assert asyncio.run(run()) >= {"not_yet", "exhausted"}
