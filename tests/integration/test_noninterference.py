"""Two services that differ in nothing but what DOS answered look the same to everybody without DOS's permission.

Both live the same story, act by act, with the same ids. Afterwards an observer calls every route of both with every id
of the story. Not a byte may differ, but for the time of day.
"""

import asyncio
import os
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final

import pytest

from broker.kernel import ids
from broker.partners.contract import Answered, Handling, NoHit, ReportedCandidate
from broker.release.permission import sight as permission_sight
from broker.release.permission.model import PermissionRequest
from tests.integration.sweep import Hidden, grant_of, routes, swept
from tests.scenarios.world import small_jpeg
from tests.support.edge import Edge, edge, search_terms
from tests.support.figures import keep
from tests.support.postgres import Server, copy_of_template

_SEED: Final = 20261125
_PROBE: Final = small_jpeg()
OBSERVERS: Final = (
    ("FBI", "analyst"),
    ("CBP", "release_officer"),
    ("ICE-ERO", "analyst", "reviewer"),
    ("STATE-EX-DMV", "release_officer"),
    ("CBP", "analyst"),
    ("FBI", "liaison"),
    ("DHS", "admin"),
    ("ICE", "analyst"),
)


@dataclass(frozen=True)
class Secret:
    """What DOS answers, and what is written from it."""

    outcome: Answered | NoHit
    text: str


class Ids:
    """Ids that are the same on both sides: each follows from the act, its kind and its number among those of its kind.

    What a service does on its own in the background has a context of its own, and draws as it always does.
    """

    def __init__(self) -> None:
        self._act: ContextVar[tuple[str, Counter[str]] | None] = ContextVar("act", default=None)

    def begin(self, act: str) -> None:
        self._act.set((act, Counter()))

    def token_bytes(self, length: int) -> bytes:
        begun = self._act.get()
        if begun is None:
            return secrets.token_bytes(length)
        act, drawn = begun
        # Some acts draw more ids of one kind where the answer differs, for records that nobody else sees.
        prefix = str(sys._getframe(1).f_locals["prefix"])
        drawn[prefix] += 1
        return Random(f"{act} {prefix} {drawn[prefix]}").randbytes(length)


def secret(chance: Random) -> Secret:
    """A random answer of DOS: nobody, or somebody with name, score and caveats."""
    if chance.random() < 0.3:
        return Secret(NoHit(), "Nobody was found.")
    count = chance.randint(1, 8)
    names = [f"V-{chance.randint(0, 9999):04}" for _ in range(count)]
    candidates = tuple(
        ReportedCandidate(
            reference=f"{name}/{rank}",
            rank=rank,
            score=round(chance.uniform(1, 99), 2),
            handling=Handling(caveats=("department_only",)) if chance.random() < 0.2 else None,
            facts={"visaClass": chance.choice(["B1", "F1", "H2"])},
        )
        for rank, name in enumerate(names, start=1)
    )
    return Secret(Answered(candidates=candidates), f"{count} found, the first is {names[0]}.")


CBP_ANSWER: Final = Answered(
    candidates=(
        ReportedCandidate(reference="R-0001", rank=1, score=0.5),
        ReportedCandidate(reference="R-2", rank=2, score=0.4),
    )
)


async def lived(place: Edge, named: Ids, pair: str, told: Secret) -> Hidden:
    """One story of ICE-HSI's, act by act; what of it others must not learn."""
    ana = place.token("ICE-HSI", "analyst", sub="ana")

    def act(name: str) -> None:
        named.begin(f"{pair}:{name}")

    act("case")
    case = (await place.made(ana, "/v1/cases", {"reference": f"R-{pair}", "title": "An invented case"}))["id"]
    act("search")
    search = (await place.search(ana, search_terms(case, ["cbp-atsp", "dos-ccd"]), _PROBE, key=f"s-{pair}"))["id"]
    act("cbp")
    cbp = await place.answer(search, "cbp-atsp", CBP_ANSWER)
    act("dos")
    dos = await place.answer(search, "dos-ccd", told.outcome)
    assert cbp is not None
    assert dos is not None
    act("lead")
    # In words of its own story: what repeats an earlier one would be known again, and rest on that one as well.
    text = f"{told.text} (story {pair})"
    parts = [
        {"text": f"CBP has two (story {pair}).", "sources": [{"item": cbp}]},
        {"text": text, "sources": [{"item": dos}]},
        {"text": f"Together: {text}", "sources": [{"item": cbp}, {"item": dos}]},
    ]
    lead = (await place.made(ana, "/v1/items", {"kind": "lead", "title": text, "case_id": case, "parts": parts}))["id"]
    act("refused")
    wish = {
        "item": lead,
        "recipient": {"agency": "FBI", "person": "R. Invented", "address": "1 Sample Street"},
        "action": "release",
        "purpose": "criminal_investigation",
        "case_id": case,
    }
    refused = await place.call(ana, "POST", "/v1/releases", json=wish, key=f"r-{pair}")
    assert refused.status_code == 403
    act("asked")
    asked = {
        "item": lead,
        "recipient": "FBI",
        "action": "release",
        "purpose": "criminal_investigation",
        "case_id": case,
    }
    request = (await place.made(ana, "/v1/permission-requests", asked))["id"]
    act("grant")
    officer = place.token("DOS", "release_officer")
    grant = (await place.made(officer, "/v1/admin/grants", grant_of("DOS", dos)))["id"]
    async with place.worker.work.begin() as tx:
        [told_of] = await tx.rows("SELECT id FROM notification WHERE recipient = 'DOS' ORDER BY at DESC, id LIMIT 1")
    return Hidden(
        item=dos,
        lead=lead,
        search=search,
        case=case,
        request=request,
        candidate="c1",
        grant=grant,
        notification=told_of.id,
    )


@asynccontextmanager
async def two_sides(server: Server, folder: Path) -> AsyncIterator[tuple[Edge, Edge]]:
    """Two services that know nothing of each other."""
    async with AsyncExitStack() as opened:
        sides = []
        for name in ("left", "right"):
            database = opened.enter_context(copy_of_template(server))
            sides.append(await opened.enter_async_context(edge(database, folder / name)))
        yield sides[0], sides[1]


async def compared(
    server: Server, folder: Path, named: Ids, pairs: int, seed: int, *, spread: int = 1
) -> dict[str, Any]:
    """Live that many pairs of stories and compare what observers see of them.

    An observer's first sweep is of every route. With *spread*, later ones are of as large a part of them, another one
    each time, so that so many of them are of every route again.
    """
    chance = Random(seed)
    closed: dict[tuple[str, ...], set[str]] = {}
    tally: dict[str, Any] = {"pairs": 0, "calls": 0, "answers that differ": 0, "first": None}
    async with two_sides(server, folder) as sides:
        for number in range(pairs):
            agency, *roles = OBSERVERS[number % len(OBSERVERS)]
            told = (secret(chance), secret(chance))
            seen, shut = [], closed.setdefault((agency, *roles), set())
            for place, known in zip(sides, told, strict=True):
                hidden = await lived(place, named, f"{seed}-{number}", known)
                named.begin(f"{seed}-{number}:observer's case")
                watcher = place.token(agency, "analyst", sub="observer's clerk")
                own = (await place.made(watcher, "/v1/cases", {"reference": "O", "title": "own"}))["id"]
                named.begin(f"{seed}-{number}:observer")
                token = place.token(agency, *roles, sub="observer")
                turn = number // len(OBSERVERS)
                others = {route for n, route in enumerate(routes(place)) if spread > 1 and turn and (n + turn) % spread}
                answers, refused = await swept(place, token, hidden, own, f"o-{number}", shut | others, named.begin)
                seen.append(answers)
            closed[(agency, *roles)] = shut | refused
            for left, right in zip(*seen, strict=True):
                tally["calls"] += 1
                if left != right:
                    tally["answers that differ"] += 1
                    tally["first"] = tally["first"] or {"observer": (agency, *roles), "left": left, "right": right}
            tally["pairs"] += 1
    return tally


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Ids:
    """Ids from here on are drawn by the test."""
    drawn = Ids()
    monkeypatch.setattr(ids, "secrets", SimpleNamespace(token_bytes=drawn.token_bytes))
    return drawn


def test_fifty_pairs_that_differ_in_what_dos_answered_look_alike(
    postgres_server: Server, tmp_path: Path, named: Ids
) -> None:
    tally = asyncio.run(compared(postgres_server, tmp_path, named, 50, _SEED, spread=6))
    assert tally["pairs"] == 50
    assert tally["calls"] > 1_000
    assert tally["answers that differ"] == 0, tally["first"]


def test_traitor_that_shows_an_owner_the_others_parts_is_caught(
    postgres_server: Server, tmp_path: Path, named: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what an owner is shown of a request is not cut down to its own part."""

    def everything(_actor: Any, request: PermissionRequest, _agencies: Any) -> PermissionRequest:
        return request

    for module in ("requests", "answers"):
        monkeypatch.setattr(f"broker.release.permission.{module}.as_seen_by", everything)
    assert permission_sight.as_seen_by is not everything
    assert asyncio.run(compared(postgres_server, tmp_path, named, 2, _SEED))["answers that differ"] > 0


@pytest.mark.deep
def test_two_thousand_pairs(postgres_server: Server, tmp_path: Path, named: Ids) -> None:
    seed = int(os.environ.get("NONINTERFERENCE_SEED", str(_SEED)))
    tally = asyncio.run(compared(postgres_server, tmp_path, named, 2000, seed, spread=3))
    figures = {
        "seed": seed,
        "observers": [" ".join(one) for one in OBSERVERS],
        **{name: value for name, value in tally.items() if name != "first"},
    }
    what = "answers of any route that differ for an observer without DOS's permission, when DOS's answers differ"
    keep("noninterference", what, figures)
    assert tally["answers that differ"] == 0, tally["first"]
