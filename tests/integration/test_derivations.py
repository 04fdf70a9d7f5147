"""Whatever is done to information, in whatever order: owners and caveats never grow fewer, and it lives no longer."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.items.model import Item
from broker.kernel.ids import CaseId, ItemId
from broker.kernel.words import ItemKind
from broker.products.derive import Draft, Part
from broker.provenance.lineage import Lineage
from tests.support.permission import marking
from tests.support.postgres import Database, Server, copy_of_template
from tests.support.workplace import ANALYST, Workplace, owners_missing, workplace

DEEPEST = 12
FEW = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
OWNERS = {"CBP": ("lead_only",), "DOS": ("no_onward",), "STATE-EX-DMV": ()}


WRITTEN = {
    "copy": (ItemKind.NOTE, False),
    "another name": (ItemKind.LEAD, False),
    "redact": (ItemKind.REDACTION, False),
    "aggregate": (ItemKind.COUNT, True),
    "average": (ItemKind.SUMMARY, True),
    "side by side": (ItemKind.COMPARISON, True),
}


class Bench:
    """One workplace for all examples, and the acts by their names."""

    def __init__(self, place: Workplace, run: Callable[[Awaitable[Any]], Any]) -> None:
        self.place, self.run = place, run
        self.case = CaseId(run(place.case()))
        self.bases = [run(self._base(owner, days)) for days, owner in enumerate(OWNERS, start=1)]
        self.count = 0

    async def _base(self, owner: str, days: int) -> ItemId:
        one = marking(owner, case_id=self.case, caveats=OWNERS[owner])
        expires = datetime.now(UTC) + timedelta(days=days) if days > 1 else None
        lineage = Lineage(
            markings=(one,), roots=frozenset({ItemId("itm_" + owner[0].lower() * 26)}), expires_at=expires
        )
        return await self.place.listed(self.case, lineage=lineage)

    async def item(self, item: ItemId) -> Item:
        seen = await self.place.door.view(ANALYST, item)
        assert seen is not None
        return seen.item

    async def write(self, kind: ItemKind, title: str, *sources: ItemId, left_out: tuple[str, ...] = ()) -> ItemId:
        self.count += 1
        part = Part(
            text=f"{title}, written as number {self.count} here.", sources=tuple(map(self.place.source, sources))
        )
        draft = Draft(kind=kind, title=title, case_id=self.case, parts=(part,), left_out=left_out)
        return (await self.place.derive.derive(ANALYST, draft, self.place.policy.bundle.purposes)).id

    async def done(self, act: str, item: ItemId, other: ItemId) -> ItemId:
        """One act on *item*."""
        if act in WRITTEN:
            kind, both = WRITTEN[act]
            left_out = ("every name",) if kind is ItemKind.REDACTION else ()
            return await self.write(kind, act, *((item, other) if both else (item,)), left_out=left_out)
        return await self._out_and_in(act, item)

    async def _out_and_in(self, act: str, item: ItemId) -> ItemId:
        seen = await self.place.door.view(ANALYST, item)
        assert seen is not None
        if act == "export and import":
            copy = {"item": {"id": item, "owners": ["ICE-HSI"], "content": json.loads(json.dumps(seen.content))}}
            purposes = self.place.policy.bundle.purposes
            return (await self.place.imports.take_in(ANALYST, copy, self.case, purposes)).id
        assert act == "retype"
        draft = Draft(
            kind=ItemKind.NOTE,
            title="retyped",
            case_id=self.case,
            parts=(Part(text=json.dumps(seen.content), sources=()),),
        )
        return (await self.place.derive.derive(ANALYST, draft, self.place.policy.bundle.purposes)).id


ACTS = (*WRITTEN, "export and import", "retype")


@pytest.fixture(scope="module")
def bench(postgres_server: Server) -> Iterator[Bench]:
    with copy_of_template(postgres_server) as database, asyncio.Runner() as runner:
        opened = AsyncExitStack()
        place = runner.run(opened.enter_async_context(workplace(database)))
        yield Bench(place, runner.run)  # type: ignore[arg-type]
        runner.run(opened.aclose())


def caveats(item: Item) -> set[tuple[str, str]]:
    return {(one.owner, code) for one in item.lineage.markings for code in one.caveats}


def expiry(item: Item) -> datetime:
    return item.lineage.expires_at or datetime.max.replace(tzinfo=UTC)


@given(st.integers(0, 2), st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 2)), min_size=1, max_size=DEEPEST))
@FEW
def test_no_sequence_of_acts_sheds_an_owner_a_caveat_or_an_expiry(
    bench: Bench, start: int, acts: list[tuple[str, int]]
) -> None:
    async def check() -> None:
        made = bench.bases[start]
        for act, other in acts:
            before = await bench.item(made)
            beside = bench.bases[other] if bench.bases[other] != made else bench.bases[(other + 1) % 3]
            made = await bench.done(act, made, beside)
            after = await bench.item(made)
            assert after.lineage.owners >= before.lineage.owners, act
            assert caveats(after) >= caveats(before), act
            assert expiry(after) <= expiry(before), act

    bench.run(check())


def test_twelve_deep_and_with_every_ancestor_deleted_the_decision_is_the_same(fresh_postgres: Database) -> None:
    async def test() -> None:
        async with workplace(fresh_postgres) as place:
            case = await place.case()
            sources = [await place.item(case, owner, kind=ItemKind.CANDIDATE_LIST) for owner in ("CBP", "DOS")]
            made = await place.lead(case, *sources)
            ancestors = [*sources]
            for _ in range(DEEPEST):
                ancestors.append(made)
                made = await place.lead(case, made, kind=ItemKind.SUMMARY)
            before = await place.release(case, made)
            with fresh_postgres.owner() as owner:
                for name in ("item_marking", "item_root", "item_source", "item"):
                    column = "id" if name == "item" else "item_id"
                    owner.execute(f"DELETE FROM {name} WHERE {column} = ANY (%s)", [ancestors])
            after = await place.release(case, made)
            assert owners_missing(before) == owners_missing(after) == ["CBP", "DOS"]
            seen = await place.door.ancestry(ANALYST, made)
            assert seen is not None
            assert seen.roots == set(sources)

    asyncio.run(test())


@pytest.mark.parametrize("kind", [ItemKind.COUNT, ItemKind.REDACTION, ItemKind.COMPARISON])
def test_what_is_made_of_something_names_it(postgres: Database, kind: ItemKind) -> None:
    """A count of an empty list is a count of that list, and its owner's information like the list itself."""

    async def test() -> None:
        async with workplace(postgres) as place:
            case = await place.case()
            empty = await place.listed(case, "DOS", candidates=0)
            with pytest.raises(Exception, match="names at least"):
                await place.lead(case, kind=kind)
            sources = (empty, await place.listed(case, "CBP")) if kind is ItemKind.COMPARISON else (empty,)
            made = await place.lead(case, *sources, kind=kind)
            assert "DOS" in owners_missing(await place.release(case, made))

    asyncio.run(test())
