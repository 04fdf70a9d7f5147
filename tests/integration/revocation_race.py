"""One round of the race between a release and the revocation that it must not survive, with the worst interleaving forced.

The release has read its grants and is about to commit; now the owner revokes. With the lock the revocation waits for
that commit. Without it, it answers first, and the release is then committed on a permission that is gone.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import psycopg

from broker.decision.loader import Loader
from broker.decision.model import Facts, Question
from broker.grants import repository
from broker.grants.coverage import Request, Trees
from broker.grants.model import Grant
from broker.items.reader import Stored
from broker.kernel.words import Action
from broker.policy.snapshot import PolicySnapshot
from broker.release.model import Release
from broker.storage.unit_of_work import Transaction
from tests.support.workplace import Workplace, officer

_HELD_SECONDS = 0.03


class HeldLoader(Loader):
    """The loader as it is, which can be stopped between reading the facts and deciding on them."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.holding = False

    async def facts(
        self, tx: Transaction, question: Question, stored: Stored, policy: PolicySnapshot, **how: Any
    ) -> Facts:
        facts = await super().facts(tx, question, stored, policy, **how)
        if self.holding and question.action is Action.RELEASE:
            self.read.set()
            await self.go_on.wait()
        return facts


class UnlockedLoader(HeldLoader):
    """The traitor: it reads the same grants, and locks none of them."""

    async def _grants(
        self, tx: Transaction, requests: tuple[Request, ...], trees: Trees, *, lock: bool, for_use: bool
    ) -> tuple[Grant, ...]:
        del lock, for_use
        return await repository.fetch(tx, await repository.find(tx, requests, trees))


@dataclass
class Tally:
    """What became of some rounds."""

    rounds: int = 0
    permitted: int = 0
    refused: int = 0
    late: int = 0
    """Releases that committed after the revocation had answered."""
    waits: list[float] = field(default_factory=list)
    """Seconds that a revocation took."""


async def race(place: Workplace, loader: HeldLoader, watch: "psycopg.AsyncConnection[Any]", rounds: int) -> Tally:
    """Play that many rounds; every second one without the forced order, so that other interleavings come up too."""
    tally = Tally()
    case = await place.case()
    item = await place.item(case, "DOS")
    for number in range(rounds):
        granted = await place.grant("DOS", item)
        loader.read.clear()
        loader.go_on.clear()
        loader.holding = number % 2 == 0
        releasing = [asyncio.create_task(place.release(case, item)) for _ in range(1 if loader.holding else 3)]
        if loader.holding:
            await loader.read.wait()
        revoking = asyncio.create_task(_revoked(place, granted.id, watch, item))
        if loader.holding:
            # The release is let go when the revocation has answered, or is seen to wait for it.
            await asyncio.wait({revoking}, timeout=_HELD_SECONDS)
            loader.go_on.set()
        answers = await asyncio.gather(*releasing)
        seconds, committed = await revoking
        made = sum(isinstance(answer, Release) for answer in answers)
        tally.rounds += 1
        tally.permitted += made
        tally.refused += len(answers) - made
        tally.waits.append(seconds)
        tally.late += await _committed(watch, item) - committed
    return tally


async def _revoked(
    place: Workplace, grant_id: str, watch: "psycopg.AsyncConnection[Any]", item: str
) -> tuple[float, int]:
    """Revoke; the seconds it took, and how many releases were committed when it had answered."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await place.endings.revoke(officer("DOS"), grant_id, "the race", place.policy.bundle.agencies)
    seconds = loop.time() - began
    return seconds, await _committed(watch, item)


async def _committed(watch: "psycopg.AsyncConnection[Any]", item: str) -> int:
    row = await (await watch.execute("SELECT count(*) FROM release WHERE item_id = %s", [item])).fetchone()
    assert row is not None
    return int(row[0])
