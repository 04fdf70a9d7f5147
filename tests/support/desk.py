"""The part of a broker that asks partners, in this process and on a real database: accepted searches, and workers.

A search is written as `SearchService` writes it, without the rules of searching, so that a test may name any partners.
"""

import asyncio
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.cbp.adapter import CbpAdapter
from adapters.dos.adapter import DosAdapter
from adapters.faces.samples import hit_probe
from broker.items.writer import ItemWriter
from broker.kernel.clock import SystemClock
from broker.kernel.ids import AgencyId, CaseId, PartnerId, PurposeId, SearchId, Subject, TransactionId, new_id
from broker.kernel.partner import Agreement, Limits, PartnerEntry
from broker.kernel.words import EvidentiaryBasis, LegState, Predicate, ProbeKind
from broker.partners.dispatch import Dispatcher
from broker.partners.line import Line
from broker.partners.registry import Registry
from broker.policy.search_question import SearchRefusal
from broker.search.asking import LegAsking
from broker.search.callbacks import Callbacks
from broker.search.lines import LineRepository
from broker.search.model import Leg, ProbeTerms, Search, SearchTerms
from broker.search.probe import DrawnProbe, draw_anew
from broker.search.repository import SearchRepository
from broker.search.run import SearchRun
from broker.search.settling import Settling
from broker.search.watch import SearchWatch
from broker.storage.database import engine_for
from broker.storage.sealing import Sealer
from broker.storage.unit_of_work import Transaction, UnitOfWork
from broker.transport import Transport
from tests.support.postgres import Database

OUTER_KEY = secrets.token_bytes(32)
ADAPTERS = {"cbp": CbpAdapter(), "dos": DosAdapter()}


def entry(name: str, *, adapter: str = "cbp", owner: str = "CBP", **limits: Any) -> PartnerEntry:
    """A partner of the register that may be asked for everything."""
    return PartnerEntry(
        id=PartnerId(name),
        title=name,
        owner=AgencyId(owner),
        custodian=AgencyId(owner),
        adapter=adapter,
        url="https://partner.example",
        gallery="travellers",
        approved=True,
        agreement=Agreement(
            number="1",
            valid_from=date(2020, 1, 1),
            valid_until=date(2035, 1, 1),
            purposes=(PurposeId("criminal_investigation"),),
        ),
        probe_kinds=("photo",),
        limits=Limits(**limits),
    )


class NoRules:
    """Lets every leg go: the partners of these tests are in no policy."""

    async def refusals(self, _tx: Transaction, _search: Search, _leg: Leg) -> tuple[SearchRefusal, ...] | None:
        return ()


@dataclass
class Desk:
    """Accepts searches, and makes workers that run them."""

    work: UnitOfWork
    registry: Registry
    transport: Transport
    searches: SearchRepository
    settling: Settling
    probe: DrawnProbe
    watch: SearchWatch
    clock: SystemClock = field(default_factory=SystemClock)
    recheck: Any = field(default_factory=NoRules)

    def worker(self) -> SearchRun:
        """A worker like that of another process."""
        dispatcher = Dispatcher(self.registry, self.transport)
        asking = LegAsking(
            self.work,
            self.searches,
            self.settling,
            dispatcher,
            self.registry,
            self.recheck,
            "http://127.0.0.1:1",
        )
        return SearchRun(self.work, self.searches, self.settling, asking)

    def callbacks(self) -> Callbacks:
        """What the API does with partners' late answers."""
        dispatcher = Dispatcher(self.registry, self.transport)
        return Callbacks(self.work, self.searches, self.settling, dispatcher, self.registry, self.clock)

    async def accept(self, *partners: str, seconds: float = 10.0) -> SearchId:
        """A search of these partners, accepted just now."""
        now = self.clock.now()
        deadline = now + timedelta(seconds=seconds)
        legs = tuple(_leg(partner, deadline) for partner in sorted(partners))
        search = Search(
            id=SearchId(new_id("sea")),
            component=AgencyId("ICE-HSI"),
            requested_by=Subject("ana"),
            requested_at=now,
            deadline_at=deadline,
            terms=search_terms(partners, seconds),
            legs=legs,
        )
        async with self.work.begin() as tx:
            await self.searches.add(tx, search, self.probe, civil=False, training_valid=True)
        return search.id

    async def read(self, search: SearchId) -> Search:
        async with self.work.begin() as tx:
            found = await self.searches.read(tx, search)
        assert found is not None
        return found

    async def leg(self, search: SearchId, partner: str) -> Leg:
        return next(leg for leg in (await self.read(search)).legs if leg.partner == partner)

    async def line(self, partner: str) -> Line | None:
        """What is known of a partner."""
        async with self.work.begin() as tx:
            return (await LineRepository().read(tx)).get(PartnerId(partner))

    async def until(
        self, search: SearchId, *states: LegState, partner: str | None = None, seconds: float = 20
    ) -> Search:
        """Wait until every leg, or that partner's, is in one of these states; final ones where none is named."""

        deadline = time.monotonic() + seconds
        while True:
            found = await self.read(search)
            legs = [leg for leg in found.legs if partner in (None, leg.partner)]
            if all(leg.state in states if states else leg.state.final for leg in legs):
                return found
            assert time.monotonic() < deadline, [(leg.partner, leg.state, leg.reason) for leg in legs]
            await self.watch.news(found, 1.0)


@asynccontextmanager
async def desk(
    database: Database,
    folder: Path,
    urls: Mapping[str, str],
    *entries: PartnerEntry,
    pool: int = 20,
    trust: ssl.SSLContext | None = None,
    sealing: bytes = OUTER_KEY,
) -> AsyncIterator[Desk]:
    """A desk whose partners are found at *urls*; those without an entry of their own get a plain one."""
    own = {one.id: one for one in entries}
    registry = Registry(
        [own.get(PartnerId(name)) or entry(name) for name in urls], dict(urls), _keys(folder), dict(ADAPTERS)
    )
    engine = engine_for(database.app_url, pool_size=pool)
    work, sealer = UnitOfWork(engine), Sealer(sealing)
    searches = SearchRepository(sealer)
    settling = Settling(work, searches, ItemWriter(sealer))
    try:
        async with Transport(trust) as transport:
            yield Desk(work, registry, transport, searches, settling, draw_anew(hit_probe(0)), SearchWatch(work))
    finally:
        await engine.dispose()


@asynccontextmanager
async def serving(*workers: SearchRun) -> AsyncIterator[None]:
    """Workers that look for what is due, until the end of the block."""

    tasks = [asyncio.create_task(one.serve()) for one in workers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _keys(folder: Path) -> Path:
    keys = folder / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    return keys


def _leg(partner: str, deadline: datetime) -> Leg:
    return Leg(
        transaction_id=TransactionId(new_id("txn")),
        partner=PartnerId(partner),
        state=LegState.QUEUED,
        reason=None,
        item_id=None,
        task_id=None,
        calls=0,
        polls=0,
        deadline_at=deadline,
    )


def search_terms(partners: tuple[str, ...], seconds: float) -> SearchTerms:
    """What is asked, and on what ground."""
    return SearchTerms(
        case_id=CaseId(new_id("cas")),
        predicate=Predicate.INVESTIGATION,
        purpose=PurposeId("criminal_investigation"),
        legal_basis="18 USC 1546 (invented case)",
        evidentiary_basis=EvidentiaryBasis.REASONABLE_SUSPICION,
        basis_text="See the case file.",
        prior_methods=("name search",),
        exigent=False,
        probe=ProbeTerms(
            kind=ProbeKind.PHOTO,
            acquisition="handed in by a witness",
            acquired_at=datetime(2026, 1, 5, 10, tzinfo=UTC),
            lawful_acquisition_attested=True,
            edits=(),
        ),
        partners=tuple(PartnerId(one) for one in partners),
        max_candidates=20,
        deadline_seconds=seconds,
    )
