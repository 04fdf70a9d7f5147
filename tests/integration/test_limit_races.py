"""Whatever makes a release, a limit holds: no use too many, nothing after the last moment, nothing after a recall."""

import asyncio
import os
from dataclasses import asdict
from random import Random
from typing import Any

import psycopg
import pytest

from broker.decision.loader import Loader
from broker.grants import repository
from broker.grants.model import Grant
from broker.storage.unit_of_work import Transaction
from tests.integration.limit_races import LIMITS, Limited
from tests.support.figures import keep
from tests.support.postgres import Database
from tests.support.workplace import workplace

SEED = int(os.environ.get("LIMIT_RACES_SEED", "20170101"))


def raced(database: Database, limit: str, rounds: int, loader: type[Loader] = Loader) -> Limited:
    async def run() -> Limited:
        tally, chance = Limited(), Random(SEED)
        async with (
            workplace(database, loader) as place,
            await psycopg.AsyncConnection.connect(database.owner_url, autocommit=True) as watch,
        ):
            for _ in range(rounds):
                await LIMITS[limit](place, watch, chance, tally)
        return tally

    return asyncio.run(run())


@pytest.mark.parametrize("limit", LIMITS)
def test_no_release_goes_beyond_the_limit(postgres: Database, limit: str) -> None:
    tally = raced(postgres, limit, 15)
    assert (tally.beyond, tally.miscounted) == (0, 0)
    assert tally.released > 0, "nothing came before the limit"
    assert tally.refused > 0, "the limit was never reached"


class Unlocked(Loader):
    """The traitor: whoever decides has read the same grants, holds none of them, and takes its time."""

    async def _grants(self, tx: Transaction, requests: Any, trees: Any, **how: Any) -> tuple[Grant, ...]:
        del how
        found = await repository.fetch(tx, await repository.find(tx, requests, trees))
        await asyncio.sleep(0.05)
        return found


def test_traitor_without_the_lock_goes_beyond_the_uses(postgres: Database) -> None:
    assert raced(postgres, "uses", 5, Unlocked).beyond > 0


@pytest.mark.deep
def test_two_thousand_rounds_of_each_limit(fresh_postgres: Database) -> None:
    tallies = {limit: raced(fresh_postgres, limit, 2_000) for limit in LIMITS}
    figures: dict[str, Any] = {"seed": SEED, **{limit: asdict(tally) for limit, tally in tallies.items()}}
    keep(
        "limit-races",
        "releases, releases in turn and held ones against uses, expiry and recall of their grant",
        figures,
    )
    assert [(tally.beyond, tally.miscounted) for tally in tallies.values()] == [(0, 0)] * len(LIMITS)
