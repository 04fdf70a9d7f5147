"""When a revocation has answered, nothing that commits later relies on it. On a real PostgreSQL, with a traitor."""

import asyncio
import statistics
from typing import Any

import psycopg
import pytest

from broker.items.reader import ItemReader
from broker.policy.activation import PolicyInForce
from tests.integration.revocation_race import End, HeldLoader, Tally, UnlockedLoader, race, revoked
from tests.support.figures import keep
from tests.support.postgres import Database
from tests.support.workplace import workplace


def played(database: Database, build: type[HeldLoader], rounds: int, end: End = revoked) -> Tally:
    async def play() -> Tally:
        made: list[HeldLoader] = []

        def loader(reader: ItemReader, policies: PolicyInForce) -> HeldLoader:
            made.append(build(reader, policies))
            return made[0]

        async with (
            workplace(database, loader) as place,
            await psycopg.AsyncConnection.connect(database.owner_url, autocommit=True) as watch,
        ):
            return await race(place, made[0], watch, rounds, end)

    return asyncio.run(play())


def test_no_release_commits_after_the_revocation_has_answered(postgres: Database) -> None:
    tally = played(postgres, HeldLoader, 100)
    assert tally.rounds == 100
    assert tally.late == 0
    # The race was one: some releases came first and some came too late to be made.
    assert tally.permitted >= 50


def test_traitor_with_the_lock_taken_out_is_caught(postgres: Database) -> None:
    assert played(postgres, UnlockedLoader, 20).late > 0


@pytest.mark.deep
def test_two_thousand_rounds(postgres: Database) -> None:
    sound, traitor = played(postgres, HeldLoader, 2000), played(postgres, UnlockedLoader, 200)
    figures: dict[str, Any] = {
        "with the lock": figures_of(sound),
        "traitor without the lock": figures_of(traitor),
    }
    keep("revoke-release-race", "releases committed after the revocation of their grant had answered", figures)
    assert sound.late == 0
    assert traitor.late > 0


def figures_of(tally: Tally) -> dict[str, Any]:
    waits = sorted(tally.waits)
    return {
        "rounds": tally.rounds,
        "releases permitted": tally.permitted,
        "releases refused": tally.refused,
        "committed after the answer": tally.late,
        "revocation, median ms": round(1000 * statistics.median(waits), 1),
        "revocation, p99 ms": round(1000 * waits[int(0.99 * (len(waits) - 1))], 1),
    }
