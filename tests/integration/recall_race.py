"""One round of the race between a release and a recall of the item behind it, with the worst interleaving forced.

The release has read its facts and is about to commit; now the owner announces. With the item's lock the notice waits
for that commit, and tells that recipient too. Without it, it answers first, and a copy goes out afterwards.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import psycopg

from broker.recall.model import Notice, NoticeKind
from broker.recall.service import RecallService
from broker.release.model import Release
from tests.integration.revocation_race import HeldLoader, Tally
from tests.support.workplace import Workplace, officer

_HELD_SECONDS = 0.03
_Watch = psycopg.AsyncConnection[Any]


@dataclass
class RecallTally(Tally):
    """What became of some rounds, and how often a copy had gone out that the notice did not know of."""

    untold: int = 0


async def race(place: Workplace, loader: HeldLoader, watch: _Watch, rounds: int) -> RecallTally:
    """Play that many rounds; every second one without the forced order, so that other interleavings come up too."""
    tally = RecallTally()
    recall = RecallService(place.work)
    case = await place.case()
    item = await place.item(case, "DOS")
    await place.grant("DOS", item)
    for number in range(rounds):
        loader.read.clear()
        loader.go_on.clear()
        loader.holding = number % 2 == 0
        releasing = [asyncio.create_task(place.release(case, item)) for _ in range(1 if loader.holding else 3)]
        if loader.holding:
            await loader.read.wait()
        recalling = asyncio.create_task(_recalled(recall, watch, item))
        if loader.holding:
            # The release is let go when the notice has answered, or is seen to wait for it.
            await asyncio.wait({recalling}, timeout=_HELD_SECONDS)
            loader.go_on.set()
        answers = await asyncio.gather(*releasing)
        seconds, committed, notice = await recalling
        made = sum(isinstance(answer, Release) for answer in answers)
        tally.rounds += 1
        tally.permitted += made
        tally.refused += len(answers) - made
        tally.waits.append(seconds)
        tally.late += await _committed(watch, item) - committed
        # Whoever got a copy before the notice answered is among those to be told.
        tally.untold += notice.recipients != committed
        await recall.lift(officer("DOS"), notice.id)
    return tally


async def _recalled(recall: RecallService, watch: _Watch, item: str) -> tuple[float, int, Notice]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    notice = await recall.announce(officer("DOS"), item, NoticeKind.WITHDRAWN, "the race", None)
    seconds = loop.time() - began
    return seconds, await _committed(watch, item), notice


async def _committed(watch: _Watch, item: str) -> int:
    row = await (await watch.execute("SELECT count(*) FROM disclosure WHERE item_id = %s", [item])).fetchone()
    assert row is not None
    return int(row[0])
