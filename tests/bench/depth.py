"""Benchmark 3: what an item costs that lies deep: its owners were copied into it, so no decision walks its ancestors.

Two leads of the same owners under the same grants, one written from two lists, one at depth 12 with ten thousand
ancestors. Beside them the walk that neither of them takes.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from broker.decision.loader import Loader
from broker.decision.service import DecisionService, Wish
from broker.grants import repository
from broker.items.model import Source
from broker.items.reader import ItemReader
from broker.items.writer import ItemWriter
from broker.kernel.ids import AgencyId, GrantId, ItemId, ReleaseId, new_id
from broker.kernel.words import Action, ItemKind
from broker.policy.activation import PolicyInForce, activate
from broker.storage.database import engine_for
from broker.storage.keys import load_or_create
from broker.storage.sealing import Sealer, make_key
from broker.storage.unit_of_work import UnitOfWork
from tests.bench import matter, register, registers
from tests.bench.ground import Database, Ground
from tests.bench.matter import ANALYST
from tests.bench.report import ratio, say
from tests.bench.sampling import Sample, timed_async

DEPTH: Final = 12
ANCESTORS: Final = 10_000
_LISTS: Final = 2
_PER_LEVEL: Final = (ANCESTORS - _LISTS - 1) // (DEPTH - 2)
_WALK: Final = (
    "WITH RECURSIVE up(id) AS (SELECT source_id FROM item_source WHERE item_id = %s UNION"
    " SELECT s.source_id FROM item_source s JOIN up ON s.item_id = up.id)"
    " SELECT count(DISTINCT up.id), count(DISTINCT m.owner) FROM up JOIN item_marking m ON m.item_id = up.id"
)
# The ancestors are one lead many times over, with other ids; nobody opens them.
_COPY_ITEM: Final = """
INSERT INTO item SELECT 'itm_' || lpad(%(level)s::text, 2, '0') || '_' || n, kind, case_id, purpose, author, component,
    search_id, candidates, created_at, expires_at, content_sha256, wrapped_key, ciphertext
FROM item CROSS JOIN generate_series(0, %(last)s) AS n WHERE id = %(lead)s
"""
_COPY_MARKINGS: Final = """
INSERT INTO item_marking SELECT i.id, m.ordinal, m.owner, m.custodian, m.source_system, m.source_reference, m.agreement,
    m.caveats, m.asked_by, m.case_id, m.at, m.selectors
FROM item_marking m, item i WHERE m.item_id = %(lead)s AND i.id LIKE 'itm\\___\\_%%'
"""
_COPY_ROOTS: Final = """
INSERT INTO item_root SELECT i.id, r.root_id FROM item_root r, item i
WHERE r.item_id = %(lead)s AND i.id LIKE 'itm\\___\\_%%'
"""
_FIRST_SOURCES: Final = """
INSERT INTO item_source SELECT i.id, s.part, s.ordinal, s.source_id, s.selector FROM item_source s, item i
WHERE s.item_id = %(lead)s AND i.id LIKE 'itm\\_01\\_%%'
"""
_NEXT_SOURCES: Final = """
INSERT INTO item_source SELECT 'itm_' || lpad(%(level)s::text, 2, '0') || '_' || n, 0, k,
    'itm_' || lpad((%(level)s - 1)::text, 2, '0') || '_' || (n + k) %% (%(last)s + 1), NULL
FROM generate_series(0, %(last)s) AS n CROSS JOIN generate_series(0, 2) AS k
"""


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int
    calls: int


def measure(ground: Ground, extent: Extent) -> dict[str, Any]:
    """The whole benchmark."""
    return asyncio.run(_measure(ground, extent))


async def _measure(ground: Ground, extent: Extent) -> dict[str, Any]:
    database = await asyncio.to_thread(ground.database, "bench_depth")
    engine = engine_for(database.app_url)
    work = UnitOfWork(engine)
    sealer = Sealer(load_or_create(ground.home / "keys" / "sealing.key", make_key))
    shared = registers.policies()
    async with work.begin() as tx:
        await activate(tx, shared.current.bundle, "bench")
    written = await matter.write(work, sealer, database.owner_url, 1)
    [shallow] = written.leads
    deep = await _deepen(work, sealer, database, shallow)
    await _permit(work, (shallow, deep))
    door = DecisionService(work, Loader(ItemReader(sealer), PolicyInForce(shared)))
    wish = Wish(register.RECIPIENT, Action.RELEASE, register.PURPOSE, written.case, None)
    held = await registers.held_connection(database)
    try:
        found = await _walked(held, deep)
        say(f"an item at depth {DEPTH} with {found:,} ancestors")
        samples = await _samples(work, door, held, wish, {"depth 1": shallow, f"depth {DEPTH}": deep}, extent)
    finally:
        await held.close()
        await engine.dispose()
    return {
        "depth": DEPTH,
        "ancestors": found,
        "in_process": [sample.summary() for sample in samples.values()],
        "ratios": _ratios(samples),
    }


async def _deepen(work: UnitOfWork, sealer: Sealer, database: Database, lead: ItemId) -> ItemId:
    """Ten thousand ancestors, a summary of them all, and a lead of it, these two as the service would write them."""
    levels = {"lead": lead, "last": _PER_LEVEL - 1}
    with psycopg.connect(database.owner_url) as connection:
        for level in range(1, DEPTH - 1):
            connection.execute(_COPY_ITEM, levels | {"level": level})
        for statement in (_COPY_MARKINGS, _COPY_ROOTS, _FIRST_SOURCES):
            connection.execute(statement, levels)
        for level in range(2, DEPTH - 1):
            connection.execute(_NEXT_SOURCES, levels | {"level": level})
    reader, summary, deep = ItemReader(sealer), ItemId(new_id("itm")), ItemId(new_id("itm"))
    last = [Source(item=ItemId(f"itm_{DEPTH - 2:02}_{n}")) for n in range(_PER_LEVEL)]
    async with work.begin() as tx:
        stored = await reader.read(tx, lead, lock=False)
        assert stored is not None
        lineage = stored.item.lineage.model_copy(update={"roots": await reader.roots(tx, lead)})
        owners = sorted(lineage.owners)
        for made, kind, used in (
            (summary, ItemKind.SUMMARY, last),
            (deep, ItemKind.LEAD, [Source(item=summary), last[0]]),
        ):
            item = stored.item.model_copy(update={"id": made, "kind": kind, "lineage": lineage})
            told = {"text": "They agree.", "owners": owners, "sources": [one.model_dump(mode="json") for one in used]}
            content = {"title": "A summary of many", "parts": [told]}
            await ItemWriter(sealer).write(tx, item, content, [used])
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) item, item_marking, item_root, item_source")
    return deep


async def _permit(work: UnitOfWork, items: tuple[ItemId, ...]) -> None:
    now = datetime.now(UTC)
    async with work.begin() as tx:
        for owner in register.OWNERS:
            given = register.terms(AgencyId(owner), now).model_copy(
                update={"scope": register.Scope(items=items)},
            )
            await repository.file(tx, register.grant_of(given, now, id=GrantId(new_id("gra"))))


async def _samples(  # what is asked, by whom, of what
    work: UnitOfWork,
    door: DecisionService,
    held: "psycopg.AsyncConnection[Any]",
    wish: Wish,
    items: dict[str, ItemId],
    extent: Extent,
) -> dict[str, Sample]:
    samples: dict[str, Sample] = {}

    async def pass_on(item: ItemId) -> None:
        async with work.begin() as tx:
            asked = await door.pass_on(tx, ANALYST, item, wish, ReleaseId(new_id("rel")))
        assert asked is not None
        assert asked.judgement.outcome, asked.judgement.outcome

    async def lineage(item: ItemId) -> None:
        seen = await door.ancestry(ANALYST, item)
        assert seen is not None
        assert len(seen.released.item.lineage.owners) == len(register.OWNERS)

    for number in range(extent.rounds + 1):
        for name, item in items.items():
            acts = {
                f"floor: the markings alone, {name}": lambda i=item: _markings(held, i),
                f"locked decision of a release, recorded, {name}": lambda i=item: pass_on(i),
                f"the item and its lineage, through the door, {name}": lambda i=item: lineage(i),
            }
            for what, act in acts.items():
                milliseconds = await timed_async(act, extent.calls)
                if number:  # The first round warms up.
                    samples.setdefault(what, Sample(what)).add(milliseconds)
            # What nobody does; a few calls show it.
            walked = await timed_async(lambda i=item: _walked(held, i), max(2, extent.calls // 20))
            if number:
                samples.setdefault(f"peer: a walk over the ancestors, {name}", Sample(f"peer: a walk, {name}")).add(
                    walked
                )
    return samples


async def _markings(connection: "psycopg.AsyncConnection[Any]", item: ItemId) -> None:
    cursor = await connection.execute("SELECT owner FROM item_marking WHERE item_id = %s ORDER BY ordinal", (item,))
    assert len(await cursor.fetchall()) == len(register.OWNERS)


async def _walked(connection: "psycopg.AsyncConnection[Any]", item: ItemId) -> int:
    row = await (await connection.execute(_WALK, (item,))).fetchone()
    assert row is not None
    return int(row[0])


def _ratios(samples: dict[str, Sample]) -> dict[str, float]:
    found = {}
    for name, sample in samples.items():
        what, _, depth = name.rpartition(", ")
        if depth == f"depth {DEPTH}":
            shallow = samples[f"{what}, depth 1"]
            found[f"{what}: depth {DEPTH} to depth 1"] = ratio(sample.median, shallow.median)
            found[f"{what}: the same, best rounds"] = ratio(sample.lowest, shallow.lowest)
    return found
