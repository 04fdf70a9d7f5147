"""One round of the race between a release and the end of a grant that it must not survive, the worst interleaving forced.

The release has read its grants and is about to commit; now the owner ends one. With the lock that waits for
that commit. Without it, it answers first, and the release is then committed on a permission that is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
from tests.support.permission import terms
from tests.support.workplace import Workplace, officer


class HeldLoader(Loader):
    """The loader as it is, which can be stopped between reading the facts and deciding on them."""

    held_seconds = 0.05
    """How long a release is held while the owner is seen to wait for it."""

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
    """The traitor: it reads the same grants, and locks none of them, so that the owner never waits."""

    held_seconds = 5.0

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
    """Releases that committed after the owner had been answered."""
    waits: list[float] = field(default_factory=list)
    """Seconds that ending the grant took."""


End = Callable[[Workplace, str, str], Awaitable[object]]
"""Ends a grant (its id, the item it is about) in one of the ways there are."""


async def revoked(place: Workplace, grant_id: str, item: str) -> object:
    """The owner revokes."""
    del item
    return await place.endings.revoke(officer("DOS"), grant_id, "the race", place.policy.bundle.agencies)


async def superseded(place: Workplace, grant_id: str, item: str) -> object:
    """The owner puts another grant in its place, which lets nobody have it who asks here."""
    now = datetime.now(UTC)
    other = terms("DOS", item=item, recipients=("CONTRACTOR-EX",), valid_from=now, valid_until=now + timedelta(days=1))
    return await place.endings.supersede(officer("DOS"), grant_id, other, place.policy)


async def entered_in_error(place: Workplace, grant_id: str, item: str) -> object:
    """The owner says that it never was a permission."""
    del item
    return await place.endings.enter_in_error(officer("DOS"), grant_id, "the race", place.policy.bundle.agencies)


async def race(
    place: Workplace,
    loader: HeldLoader,
    watch: "psycopg.AsyncConnection[Any]",
    rounds: int,
    end: End = revoked,
) -> Tally:
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
        ending = asyncio.create_task(_ended(place, granted.id, watch, item, end))
        if loader.holding:
            # The release is let go when the owner has been answered, or is seen to wait for it.
            await asyncio.wait({ending}, timeout=loader.held_seconds)
            loader.go_on.set()
        answers = await asyncio.gather(*releasing)
        seconds, committed = await ending
        made = sum(isinstance(answer, Release) for answer in answers)
        tally.rounds += 1
        tally.permitted += made
        tally.refused += len(answers) - made
        tally.waits.append(seconds)
        tally.late += await _committed(watch, item) - committed
    return tally


async def _ended(
    place: Workplace, grant_id: str, watch: "psycopg.AsyncConnection[Any]", item: str, end: End
) -> tuple[float, int]:
    """End it; the seconds it took, and how many releases were committed when it had answered."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await end(place, grant_id, item)
    seconds = loop.time() - began
    return seconds, await _committed(watch, item)


async def _committed(watch: "psycopg.AsyncConnection[Any]", item: str) -> int:
    row = await (await watch.execute("SELECT count(*) FROM release WHERE item_id = %s", [item])).fetchone()
    assert row is not None
    return int(row[0])
