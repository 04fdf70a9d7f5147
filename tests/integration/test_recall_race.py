"""When a notice has answered, nothing that it reaches goes out any more. On a real PostgreSQL, with a traitor."""

import asyncio
import statistics
import time
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import text

from broker.items import descent
from broker.items.reader import ItemReader
from broker.kernel.ids import new_id
from broker.policy.activation import PolicyInForce
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from tests.integration.recall_race import RecallTally, race
from tests.integration.revocation_race import HeldLoader
from tests.support.figures import keep
from tests.support.postgres import Database
from tests.support.workplace import Workplace, officer, workplace

_COPY: Final = """
INSERT INTO item SELECT %s, kind, case_id, purpose, author, component, search_id, candidates, created_at, expires_at,
    content_sha256, wrapped_key, ciphertext FROM item WHERE id = %s
"""


def played(database: Database, rounds: int) -> RecallTally:
    async def play() -> RecallTally:
        made: list[HeldLoader] = []

        def loader(reader: ItemReader, policies: PolicyInForce) -> HeldLoader:
            made.append(HeldLoader(reader, policies))
            return made[0]

        async with (
            workplace(database, loader) as place,
            await psycopg.AsyncConnection.connect(database.owner_url, autocommit=True) as watch,
        ):
            return await race(place, made[0], watch, rounds)

    return asyncio.run(play())


def without_the_lock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(descent, "_HOLD", text("SELECT id FROM item WHERE id = ANY (:items) ORDER BY id"))


def test_no_release_commits_after_the_notice_has_answered(postgres: Database) -> None:
    tally = played(postgres, 40)
    assert tally.rounds == 40
    assert (tally.late, tally.untold) == (0, 0)
    assert tally.permitted >= 20


def test_traitor_that_walks_without_holding_what_it_finds_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_the_lock(monkeypatch)
    tally = played(postgres, 20)
    assert tally.late + tally.untold > 0


async def _announced(database: Database, derivations: int, shape: str) -> float:
    """Seconds that a notice about a list takes from which so many items were made."""
    async with workplace(database) as place:
        case = await place.case()
        root = await place.item(case, "DOS")
        await _derive(place, root, derivations, shape)
        began = time.perf_counter()
        notice = await RecallService(place.work).announce(officer("DOS"), root, NoticeKind.WITHDRAWN, "All.", None)
        seconds = time.perf_counter() - began
        assert notice.affected == derivations + 1
        return seconds


async def _derive(place: Workplace, root: str, derivations: int, shape: str) -> None:
    """A chain is one item from the last; a tree has ten made of each."""
    made = [root]
    async with place.work.begin() as tx:
        driver = await tx.driver()
        async with driver.cursor() as cursor:
            ids = [new_id("itm") for _ in range(derivations)]
            await cursor.executemany(_COPY, [(one, root) for one in ids])
            sources = []
            for number, one in enumerate(ids):
                sources.append((one, made[-1] if shape == "chain" else made[number // 10]))
                made.append(one)
            await cursor.executemany("INSERT INTO item_source VALUES (%s, 0, 0, %s, NULL)", sources)


@pytest.mark.parametrize("shape", ["chain", "tree"])
def test_a_thousand_derivations_are_all_reached(postgres: Database, shape: str) -> None:
    assert asyncio.run(_announced(postgres, 1000, shape)) < 10


@pytest.mark.deep
def test_two_thousand_rounds_and_ten_thousand_derivations(
    fresh_postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = played(fresh_postgres, 2000)
    walks = {shape: asyncio.run(_announced(fresh_postgres, 10_000, shape)) for shape in ("chain", "tree")}
    waits = sorted(sound.waits)
    with monkeypatch.context() as patch:
        without_the_lock(patch)
        traitor = played(fresh_postgres, 200)
    figures: dict[str, Any] = {
        "with the lock": {
            "rounds": sound.rounds,
            "releases permitted": sound.permitted,
            "releases refused": sound.refused,
            "committed after the answer": sound.late,
            "recipients not told": sound.untold,
            "notice, median ms": round(1000 * statistics.median(waits), 1),
            "notice, p99 ms": round(1000 * waits[int(0.99 * (len(waits) - 1))], 1),
        },
        "traitor without the lock": {
            "rounds": traitor.rounds,
            "committed after the answer": traitor.late,
            "notices that missed a recipient": traitor.untold,
        },
        "a notice about 10,000 derivations, seconds": {shape: round(took, 2) for shape, took in walks.items()},
    }
    what = "releases committed after a notice about their item had answered; and the walk over derivations"
    keep("recall-release-race", what, figures)
    assert (sound.late, sound.untold) == (0, 0)
    assert traitor.late + traitor.untold > 0
    assert max(walks.values()) < 60
