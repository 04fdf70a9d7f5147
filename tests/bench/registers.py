"""Registers of several sizes side by side, each a database of its own, so that sizes can be measured in turns."""

import asyncio
import time
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from broker.decision.loader import Loader
from broker.decision.service import DecisionService, Wish
from broker.items.reader import ItemReader
from broker.kernel.clock import SystemClock
from broker.kernel.ids import AgencyId, ReleaseId, new_id
from broker.kernel.words import Action
from broker.policy.activation import PolicyInForce, activate
from broker.policy.holder import Policies
from broker.storage.database import engine_for
from broker.storage.keys import load_or_create
from broker.storage.sealing import Sealer, make_key
from broker.storage.unit_of_work import UnitOfWork
from tests.bench import matter, register
from tests.bench.ground import POLICIES, Database, Ground
from tests.bench.matter import ANALYST, Matter

_LEADS = 500


@dataclass
class Register:
    """A register with its items, and the decision service on it, in this process."""

    size: int
    reach_rows: int
    load_seconds: float
    database: Database
    engine: AsyncEngine
    work: UnitOfWork
    door: DecisionService
    matter: Matter
    crowded: str
    asked: "cycle[str]"

    def wish(self, recipient: str = register.RECIPIENT) -> Wish:
        """A release of a lead to *recipient* under the matter's case."""
        return Wish(AgencyId(recipient), Action.RELEASE, register.PURPOSE, self.matter.case, None)

    async def dry_run(self) -> Any:
        """One dry run: a transaction of its own, no lock, recorded."""
        judgement = await self.door.dry_run(ANALYST, next(self.asked), self.wish())
        assert judgement, "the caller may view the item"
        assert judgement.outcome, judgement.outcome
        return judgement

    async def pass_on(self) -> Any:
        """The locked decision of a release in its transaction, committed. The copy itself is not made."""
        async with self.work.begin() as tx:
            found = await self.door.pass_on(tx, ANALYST, next(self.asked), self.wish(), ReleaseId(new_id("rel")))
        assert found, "the caller may view the item"
        assert len(found.judgement.outcome.grants) == len(register.OWNERS), found.judgement.outcome
        return found

    async def pass_on_crowded(self) -> Any:
        """The locked decision on the one item that many grants cover: every one of them is held."""
        async with self.work.begin() as tx:
            found = await self.door.pass_on(tx, ANALYST, self.crowded, self.wish(), ReleaseId(new_id("rel")))
        assert found, "the caller may view the item"
        assert found.judgement.outcome, found.judgement.outcome
        return found

    async def refused(self) -> Any:
        """The same to somebody without a grant: refused, and looked for what once covered it."""
        async with self.work.begin() as tx:
            wish = self.wish("STATE-EX-DMV")
            found = await self.door.pass_on(tx, ANALYST, next(self.asked), wish, ReleaseId(new_id("rel")))
        assert found, "the caller may view the item"
        assert not found.judgement.outcome, found.judgement.outcome
        return found


async def build(ground: Ground, policies: Policies, size: int, seed: int) -> Register:
    """Make the database, the items and the register."""
    database = await asyncio.to_thread(ground.database, f"bench_{size}")
    engine = engine_for(database.app_url)
    work = UnitOfWork(engine)
    sealer = Sealer(load_or_create(ground.home / "keys" / "sealing.key", make_key))
    async with work.begin() as tx:
        await activate(tx, policies.current.bundle, "bench")
    written = await matter.write(work, sealer, database.owner_url, min(_LEADS, size // 4) + 1)
    *ordinary, crowded = written.leads
    asked, mixture = await register.patterns(work)
    began = time.perf_counter()
    rows = register.fill(database.owner_url, asked, mixture, items=ordinary, size=size, seed=seed, crowded=crowded)
    return Register(
        size=size,
        reach_rows=rows,
        load_seconds=time.perf_counter() - began,
        database=database,
        engine=engine,
        work=work,
        door=DecisionService(work, Loader(ItemReader(sealer), PolicyInForce(policies))),
        matter=Matter(written.case, tuple(ordinary)),
        crowded=crowded,
        asked=cycle(ordinary),
    )


def policies() -> Policies:
    """The shipped policies."""
    return Policies(POLICIES, SystemClock())


async def held_connection(database: Database) -> "psycopg.AsyncConnection[Any]":
    """A connection that is kept, statements prepared at once, each its own transaction: what a floor runs on."""
    return await psycopg.AsyncConnection.connect(database.app_url, autocommit=True, prepare_threshold=0)
