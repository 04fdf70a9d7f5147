"""Every way in which a partner can be broken, beside one that is not: typed, in time, and nobody else's trouble."""

import asyncio
import gc
import os
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker.kernel.ids import SearchId
from broker.kernel.words import LegState
from broker.transport import exchange
from tests.support.desk import Desk, desk, entry, serving
from tests.support.faulty_partner import (
    ANSWERED,
    ERROR,
    FAULTS,
    Stage,
    faulty_partners,
    name_of,
    served_with,
    trust,
)
from tests.support.figures import keep
from tests.support.postgres import Database
from tests.support.raw_partner import RawPartner, raw_partner

SECONDS = 4.0
GRACE = timedelta(milliseconds=250)
STEPS = 8
"""Round trips from the deadline to the commit that ends a leg: a busy machine delays each of them."""
AT_ONCE = 4
MOST_GROWTH = 50_000_000


@dataclass
class Seen:
    """What came of all the searches."""

    wrong: list[str] = field(default_factory=list)
    states: dict[str, Counter[str]] = field(default_factory=dict)
    latest: timedelta = timedelta(seconds=-99)
    searches: int = 0
    growth: int = 0
    held_up: timedelta = timedelta()
    """How long the machine, busy with others, kept this process or its database from doing nothing at all."""


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def one_search(made: Desk, fault: str, seen: Seen, places: asyncio.Semaphore) -> None:
    async with places:
        search = await made.accept(name_of(fault), "beside", seconds=SECONDS)
        ended = {leg.partner: leg for leg in (await made.until(search, seconds=SECONDS + 10)).legs}
        leg, good = ended[name_of(fault)], ended["beside"]
        late = await lateness(made, search)
        seen.searches += 1
        seen.states.setdefault(fault, Counter())[f"{leg.state.value}: {leg.reason or '-'}"] += 1
        seen.latest = max(seen.latest, late)
        shut = leg.state is ERROR and leg.reason == "circuit_open"
        if leg.state not in FAULTS[fault].ends and not shut:
            seen.wrong.append(f"{fault}: {leg.state} ({leg.reason})")
        if good.state is not LegState.ANSWERED:
            seen.wrong.append(f"{fault}: the partner beside it ended as {good.state} ({good.reason})")
        if late > GRACE + STEPS * seen.held_up:
            seen.wrong.append(f"{fault}: {late} after its deadline")
        if leg.state is not ANSWERED and not leg.reason:
            seen.wrong.append(f"{fault}: no reason")


async def lateness(made: Desk, search: SearchId) -> timedelta:
    async with made.work.begin() as tx:
        rows = await tx.rows(
            "SELECT max(ended_at) - max(deadline_at) AS late FROM search_leg WHERE search_id = %s", [search]
        )
    late: timedelta = rows[0].late
    return late


async def watch_machine(made: Desk, seen: Seen) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        await asyncio.sleep(0.05)
        async with made.work.begin() as tx:
            await tx.clock()
        seen.held_up = max(seen.held_up, timedelta(seconds=loop.time() - began - 0.06))


async def watch_memory(seen: Seen, began_with: int) -> None:
    while True:
        seen.growth = max(seen.growth, resident() - began_with)
        await asyncio.sleep(0.05)


async def all_faults(database: Database, folder: Path, runs: int) -> Seen:
    seen, stage = Seen(), Stage()
    async with raw_partner() as beside, faulty_partners(stage, beside) as partners:
        urls = {name_of(name): one if isinstance(one, str) else one.url for name, one in partners.items()}
        entries = [entry(name_of(name), adapter=fault.adapter) for name, fault in FAULTS.items()]
        async with desk(database, folder, {**urls, "beside": beside.url}, *entries, trust=trust()) as made:
            stage.desk = made
            async with serving(made.worker()):
                await made.until(await made.accept("beside"))
                watching = [asyncio.create_task(watch_machine(made, seen))]
                # One of each to warm up: what is loaded once is not growth.
                places = asyncio.Semaphore(AT_ONCE)
                await asyncio.gather(*(one_search(made, name, seen, places) for name in FAULTS))
                gc.collect()
                watching.append(asyncio.create_task(watch_memory(seen, resident())))
                for _ in range(runs - 1):
                    await asyncio.gather(*(one_search(made, name, seen, places) for name in FAULTS))
                    forget_probes([beside, *(one for one in partners.values() if isinstance(one, RawPartner))])
                for task in watching:
                    task.cancel()
            await nobody_connected(made, seen, [one for one in partners.values() if isinstance(one, RawPartner)])
            await one_item_each(made, seen)
    return seen


def forget_probes(partners: list[RawPartner]) -> None:
    """The partners live in this process, and what they keep of what they were sent is not the broker's growth."""
    for partner in partners:
        partner.calls[:] = [replace(call, body=b"") for call in partner.calls]


async def nobody_connected(made: Desk, seen: Seen, partners: list[RawPartner]) -> None:
    deadline = time.monotonic() + 5
    while any(one.open for one in partners) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    seen.wrong += [f"{one.url}: {len(one.open)} connections left open" for one in partners if one.open]
    seen.wrong += [f"an exchange left under way: {one}" for one in exchange._UNDER_WAY]


async def one_item_each(made: Desk, seen: Seen) -> None:
    async with made.work.begin() as tx:
        twice = await tx.rows(
            "SELECT m.source_reference FROM item i JOIN item_marking m ON m.item_id = i.id"
            " WHERE i.search_id IS NOT NULL GROUP BY i.search_id, m.source_system, m.source_reference"
            " HAVING count(*) > 1"
        )
        items = await tx.rows("SELECT count(*) AS n FROM item")
        legs = await tx.rows("SELECT count(*) AS n FROM search_leg WHERE item_id IS NOT NULL")
    if twice or items[0].n != legs[0].n:
        seen.wrong.append(f"{items[0].n} items of {legs[0].n} answers")


def test_every_fault_twice_ends_typed_in_time_and_alone(fresh_postgres: Database, tmp_path: Path) -> None:
    assert len(FAULTS) >= 24
    seen = asyncio.run(all_faults(fresh_postgres, tmp_path, 2))
    assert seen.wrong == [], "\n".join(seen.wrong)
    assert seen.searches == 2 * len(FAULTS)
    assert seen.growth < MOST_GROWTH
    assert set(FAULTS["callback forged"].statuses) == {401}
    assert set(FAULTS["callback for another search"].statuses) == {404}
    assert set(FAULTS["callback twice"].statuses) == {204}


@pytest.mark.parametrize(
    ("certificate", "state", "reason"),
    [
        ("sound", LegState.ANSWERED, None),
        ("expired", LegState.PARTNER_ERROR, "untrusted"),
        ("wrong host", LegState.PARTNER_ERROR, "untrusted"),
        ("unknown authority", LegState.PARTNER_ERROR, "untrusted"),
    ],
)
def test_a_certificate_is_believed_or_it_is_said_that_it_is_not(
    fresh_postgres: Database, tmp_path: Path, certificate: str, state: LegState, reason: str | None
) -> None:
    async def test() -> tuple[LegState, str | None]:
        async with (
            raw_partner(tls=served_with(certificate)) as partner,
            desk(fresh_postgres, tmp_path, {"p": partner.url}, trust=trust()) as made,
            serving(made.worker()),
        ):
            leg = (await made.until(await made.accept("p"))).legs[0]
            return leg.state, leg.reason

    assert asyncio.run(test()) == (state, reason)


@pytest.mark.deep
def test_every_fault_fifty_times(fresh_postgres: Database, tmp_path: Path) -> None:
    began = time.monotonic()
    seen = asyncio.run(all_faults(fresh_postgres, tmp_path, 50))
    figures = {
        "searches": seen.searches,
        "wrong": len(seen.wrong),
        "machine_held_up_ms": round(seen.held_up.total_seconds() * 1000),
        "latest_end_after_deadline_ms": round(seen.latest.total_seconds() * 1000),
        "memory_growth_bytes": seen.growth,
        "seconds": round(time.monotonic() - began),
        "states": {name: dict(found) for name, found in sorted(seen.states.items())},
    }
    keep("faults", f"{len(FAULTS)} faults, each beside a partner that answers; deadline {SECONDS} s", figures)
    assert seen.wrong == [], "\n".join(seen.wrong)
    assert seen.growth < MOST_GROWTH
