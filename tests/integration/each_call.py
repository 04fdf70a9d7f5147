"""A desk with one partner that does what a test says, and a line that stands as a test has put it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from broker.kernel.ids import PartnerId
from broker.kernel.partner import PartnerEntry
from broker.partners.circuit import Circuit, CircuitState
from broker.partners.retry_budget import RetryBudget
from broker.search.lines import LineRepository
from tests.support.desk import Desk, desk, entry
from tests.support.postgres import Database
from tests.support.raw_partner import Act, Asked, RawPartner, raw_partner, reply

TAKEN = reply({"taskId": "task-1"}, 202)
PENDING = reply(b'"PENDING"')


def wait(seconds: int) -> bytes:
    return reply({"code": 503, "message": "x"}, 503, headers={"Retry-After": str(seconds)})


def at_desk(
    database: Database,
    folder: Path,
    test: Callable[[Desk, RawPartner], Awaitable[Any]],
    own: PartnerEntry | None = None,
) -> Any:
    """Run *test* with a desk, a partner `p`, and a good one beside it."""

    async def run() -> Any:
        async with raw_partner() as partner, raw_partner() as beside:
            urls = {"p": partner.url, "beside": beside.url}
            async with desk(database, folder, urls, own or entry("p")) as made:
                return await test(made, partner)

    return asyncio.run(run())


async def set_circuit(made: Desk, circuit: Circuit) -> None:
    """As an outage that is over now has left it."""
    async with made.work.begin() as tx:
        line, _ = await LineRepository().hold_one(tx, PartnerId("p"))
        await LineRepository().write(tx, replace(line, circuit=circuit))


async def set_budget(made: Desk, left: float) -> None:
    async with made.work.begin() as tx:
        line, now = await LineRepository().hold_one(tx, PartnerId("p"))
        await LineRepository().write(tx, replace(line, budget=RetryBudget(left, now)))


async def opened(made: Desk, *, again: timedelta = timedelta(), openings: int = 0) -> None:
    async with made.work.begin() as tx:
        until = await tx.clock() + again
    await set_circuit(made, Circuit(CircuitState.OPEN, 0, openings, until))


def later(poll: bytes) -> Act:
    """Takes every search, and says this of it afterwards."""

    async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(TAKEN if asked.search else poll)

    return act
