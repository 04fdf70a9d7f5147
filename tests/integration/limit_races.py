"""Rounds of the race between everything that can make a release and a limit: so many uses, a last moment, a recall.

In each round a grant that is just recorded is used at once by releases, by one caller who asks for several in turn,
and by two workers who look at the same held releases, again and again as a worker does that is started anew.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import psycopg

from broker.grants import repository
from broker.grants.model import Grant
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from broker.release.held.model import HeldRelease
from broker.release.model import Release
from tests.support.workplace import Workplace, officer

USES: Final = 2
Watch = psycopg.AsyncConnection[Any]


@dataclass
class Limited:
    """What became of some rounds."""

    rounds: int = 0
    released: int = 0
    refused: int = 0
    beyond: int = 0
    """Releases that the limit forbade: a use too many, after the last moment, after the notice had answered."""
    miscounted: int = 0
    """Rounds in which the uses on record were not the releases on record."""
    pace: float = 0.2
    """Seconds that the releases of a round take here, as far as is known; the limit is set into the midst of them."""


@dataclass(frozen=True)
class Round:
    """One round: an item with two held releases, and a grant for it."""

    case: Any
    item: str
    held: tuple[str, ...]
    grant: Grant
    until: datetime


async def prepared(place: Workplace, *, uses: int | None = None, seconds: float = 86_400) -> Round:
    """An item, two releases of it that are held, and the grant that they wait for, which serves so many seconds."""
    case = await place.case()
    item = await place.item(case, "DOS")
    held = [await place.hold(case, item) for _ in range(2)]
    ids = tuple(one.id for one in held if isinstance(one, HeldRelease))
    assert len(ids) == len(held)
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return Round(case, item, ids, await place.grant("DOS", item, valid_until=until, max_uses=uses), until)


def asked(place: Workplace, this: Round) -> list[Awaitable[Any]]:
    """All the ways in which a release is made."""

    async def in_turn() -> list[Any]:
        return [await place.release(this.case, this.item) for _ in range(2)]

    async def looked(held: str) -> None:
        for _ in range(2):
            await place.held.look(held)

    looks = [looked(held) for held in this.held for _ in range(2)]
    return [in_turn(), place.release(this.case, this.item), place.release(this.case, this.item), *looks]


async def made(watch: Watch, this: Round) -> list[datetime]:
    """When the releases were decided that are committed now."""
    rows = await (await watch.execute("SELECT at FROM release WHERE item_id = %s", [this.item])).fetchall()
    return [row[0] for row in rows]


async def by_uses(place: Workplace, watch: Watch, chance: Random, tally: Limited) -> None:
    """A grant for two."""
    this = await prepared(place, uses=USES)
    await _asked(place, this, tally)
    released = len(await made(watch, this))
    async with place.work.begin() as tx:
        [grant] = await repository.fetch(tx, [this.grant.id])
    tally.beyond += max(0, released - USES)
    tally.miscounted += grant.uses != released
    tally.released += released


async def by_expiry(place: Workplace, watch: Watch, chance: Random, tally: Limited) -> None:
    """A grant whose last moment comes while it is being used."""
    this = await prepared(place, seconds=tally.pace * chance.uniform(0.1, 1.1))
    await _asked(place, this, tally)
    moments = await made(watch, this)
    tally.beyond += sum(not at < this.until for at in moments)
    tally.released += len(moments)


async def by_recall(place: Workplace, watch: Watch, chance: Random, tally: Limited) -> None:
    """A notice that comes at once with the releases, or while they are under way.

    It waits for those that hold the item, and the others wait for it.
    """
    this = await prepared(place)

    async def recalled() -> int:
        await asyncio.sleep(tally.pace * (chance.uniform(0, 0.5) if tally.rounds % 2 else 0))
        await RecallService(place.work).announce(officer("DOS"), this.item, NoticeKind.WITHDRAWN, "the race", None)
        return len(await made(watch, this))

    recalling = asyncio.create_task(recalled())
    await _asked(place, this, tally)
    committed = await recalling
    released = len(await made(watch, this))
    tally.beyond += released - committed
    tally.released += released


async def _asked(place: Workplace, this: Round, tally: Limited) -> None:
    """Ask in all ways at once, and count how often the answer was no."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await asyncio.gather(*asked(place, this))
    tally.pace += 0.3 * (loop.time() - began - tally.pace)
    flat = [one for answer in answers for one in (answer if isinstance(answer, list) else [answer])]
    tally.rounds += 1
    tally.refused += sum(one is not None and not isinstance(one, Release) for one in flat)


LIMITS: Final[dict[str, Callable[[Workplace, Watch, Random, Limited], Awaitable[None]]]] = {
    "uses": by_uses,
    "expiry": by_expiry,
    "recall": by_recall,
}
