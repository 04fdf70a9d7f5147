"""What is decided about: a case, reviewed candidate lists of two owners, and leads written from both."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from broker.audit.events import Actor
from broker.cases.service import CaseService
from broker.items.model import Item, Source
from broker.items.writer import ItemWriter
from broker.kernel.clock import SystemClock
from broker.kernel.ids import AgencyId, CaseId, ItemId, PartnerId, PurposeId, SearchId, Subject, new_id
from broker.kernel.words import ItemKind
from broker.provenance.lineage import Lineage, combine
from broker.provenance.marking import mark
from broker.storage.sealing import Sealer
from broker.storage.unit_of_work import Transaction, UnitOfWork

ANALYST = Actor(sub="ana.analyst", agency="ICE-HSI", roles=("analyst",))
COMPONENT = AgencyId("ICE-HSI")
_SOURCES = ((AgencyId("CBP"), PartnerId("cbp-atsp")), (AgencyId("DOS"), PartnerId("dos-ccd")))
_PAIRS = 20
_CANDIDATES = 5


@dataclass(frozen=True)
class Matter:
    """A case and the leads under it, each of two owners."""

    case: CaseId
    leads: tuple[ItemId, ...]


async def write(work: UnitOfWork, sealer: Sealer, owner_url: str, leads: int) -> Matter:
    """Written by the same writer as the service's; the reviews' outcome is entered as if two reviewers had agreed."""
    case = await CaseService(work, SystemClock()).open(ANALYST, "BENCH-0001", "Invented case")
    writer = ItemWriter(sealer)
    pairs = [[_list(case.id, owner, system) for owner, system in _SOURCES] for _ in range(_PAIRS)]
    made = []
    async with work.begin() as tx:
        for item in itertools.chain.from_iterable(pairs):
            await writer.write(tx, item, {"candidates": [{"id": str(n)} for n in range(_CANDIDATES)]})
        for _, pair in zip(range(leads), itertools.cycle(pairs), strict=False):
            made.append(await _lead(tx, writer, case.id, pair))
    with psycopg.connect(owner_url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO review_state VALUES (%s, now(), 0, '{rita,rolf}', '{}')",
            [(item.id,) for item in itertools.chain.from_iterable(pairs)],
        )
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) item, item_marking, item_root, item_source, review_state, case_file")
    return Matter(case.id, tuple(made))


def _list(case: CaseId, owner: AgencyId, system: PartnerId) -> Item:
    item = ItemId(new_id("itm"))
    marking = mark(
        owner=owner,
        custodian=owner,
        source_system=system,
        source_reference=None,
        agreement=f"MOU-EX-{owner}-001",
        caveats=("lead_only",),
        asked_by=COMPONENT,
        case_id=case,
        at=datetime.now(UTC),
    )
    lineage = Lineage(markings=(marking,), roots=frozenset({item}))
    return _item(item, ItemKind.CANDIDATE_LIST, case, lineage, SearchId(new_id("sea")), _CANDIDATES)


async def _lead(tx: Transaction, writer: ItemWriter, case: CaseId, pair: list[Item]) -> ItemId:
    lead = ItemId(new_id("itm"))
    item = _item(lead, ItemKind.LEAD, case, combine(source.lineage for source in pair), None, 0)
    sources = [Source(item=source.id) for source in pair]
    part = {
        "text": "The first candidate appears in both.",
        "owners": sorted(item.lineage.owners),
        "sources": [one.model_dump(mode="json") for one in sources],
    }
    await writer.write(tx, item, {"title": "Possible candidate in two systems", "parts": [part]}, [sources])
    return lead


def _item(
    item: ItemId, kind: ItemKind, case: CaseId, lineage: Lineage, search: SearchId | None, candidates: int
) -> Item:
    return Item(
        id=item,
        kind=kind,
        case_id=case,
        purpose=PurposeId("criminal_investigation"),
        author=Subject(ANALYST.sub),
        component=COMPONENT,
        search_id=search,
        candidates=candidates,
        created_at=datetime.now(UTC),
        lineage=lineage,
    )
