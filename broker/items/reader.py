"""Reading items, content included. Only ``broker.decision`` may call this, which the import contracts enforce."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import select

from broker.items.binding import binding
from broker.items.fingerprints import of_text
from broker.items.handing_out import recognise
from broker.items.model import Content, Item, Source
from broker.items.ownership import owners_of
from broker.items.tables import HeldUnderRow, RootRow, SourceRow
from broker.kernel.ids import AgencyId, CaseId, ItemId, ReleaseId
from broker.kernel.words import ItemKind
from broker.provenance.lineage import Lineage
from broker.provenance.marking import Marking
from broker.storage.columns import table
from broker.storage.sealing import Sealed, Sealer
from broker.storage.unit_of_work import Transaction

_ROOTS = table(RootRow)
_SOURCES = table(SourceRow)
_HELD_UNDER = table(HeldUnderRow)
_ITEM: Final = """
SELECT id, kind, case_id, purpose, author, component, search_id, candidates, created_at, expires_at, wrapped_key,
    ciphertext
FROM item WHERE id = %s
"""
_ITEM_FOR_SHARE: Final = _ITEM + " FOR SHARE"
_MARKINGS: Final = """
SELECT owner, custodian, source_system, source_reference, agreement, caveats, asked_by, case_id, at, selectors
FROM item_marking WHERE item_id = %s ORDER BY ordinal
"""
# A list that is not there any more has not been reviewed by that: nobody can say that it held no candidate.
_REVIEW_GAPS: Final = """
SELECT r.root_id, s.completed_at IS NOT NULL AS disputed FROM item_root r LEFT JOIN item i ON i.id = r.root_id
LEFT JOIN review_state s ON s.item_id = r.root_id LEFT JOIN review_resolution n ON n.item_id = r.root_id
WHERE r.item_id = %s AND coalesce(i.candidates, 1) > 0
    AND (s.completed_at IS NULL OR (s.disagreements > 0 AND n.item_id IS NULL)) ORDER BY 1
"""
_CONFIRMATIONS: Final = """
(SELECT DISTINCT ON (owner) owner, outcome FROM verification WHERE item_id = %s ORDER BY owner, at DESC, id DESC)
UNION ALL SELECT owner, 'standing doubt' FROM verification_doubt WHERE item_id = %s AND standing
"""
_NOTICES: Final = """
SELECT n.owner, n.kind FROM notice_item i JOIN notice n ON n.id = i.notice_id
WHERE i.item_id = %s AND i.standing ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class ReviewGaps:
    """Lists behind an item that lack two reviewers, and lists on which the two disagree without a third."""

    unreviewed: tuple[ItemId, ...]
    disputed: tuple[ItemId, ...]


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Owners who have confirmed an item, and owners who did not confirm it or something that it is made of."""

    verified: frozenset[AgencyId]
    unconfirmed: frozenset[AgencyId]


NO_GAPS: Final = ReviewGaps((), ())
NOTHING_SAID: Final = Confirmations(frozenset(), frozenset())


class Stored:
    """An item as read, its content still sealed; `open` is for the door, after a Permit."""

    def __init__(self, item: Item, row: Any, sealer: Sealer) -> None:
        self.item = item
        self._row = row
        self._sealer = sealer

    def narrowed(self, item: Item) -> "Stored":
        """The same with fewer markings, so that a part of it can be judged. Its content then does not open."""
        return Stored(item, self._row, self._sealer)

    def open(self) -> Content:
        """The content. The caller has a Permit for exactly what it then hands out."""
        sealed = Sealed(bytes(self._row.wrapped_key), bytes(self._row.ciphertext))
        return cast("Content", json.loads(self._sealer.open(sealed, binding(self.item))))


class ItemReader:
    """Reads in the caller's transaction."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def read(self, tx: Transaction, item_id: str, *, lock: bool) -> Stored | None:
        """The item, or None. With *lock* its row is held FOR SHARE: nobody recalls it before this commits."""
        found = await tx.rows(_ITEM_FOR_SHARE if lock else _ITEM, (item_id,))
        if not found:
            return None
        [row] = found
        return Stored(_item(row, await tx.rows(_MARKINGS, (item_id,))), row, self._sealer)

    async def roots(self, tx: Transaction, item_id: ItemId) -> frozenset[ItemId]:
        """All candidate lists that the item derives from."""
        rows = await tx.execute(select(_ROOTS.c.root_id).where(_ROOTS.c.item_id == item_id))
        return frozenset(ItemId(root) for root in rows.scalars())

    async def review_gaps(self, tx: Transaction, item_id: ItemId) -> ReviewGaps:
        """Candidate lists behind the item that two have not been through, or on which they disagree unresolved."""
        rows = await tx.rows(_REVIEW_GAPS, (item_id,))
        return ReviewGaps(
            unreviewed=tuple(ItemId(row.root_id) for row in rows if not row.disputed),
            disputed=tuple(ItemId(row.root_id) for row in rows if row.disputed),
        )

    async def confirmations(self, tx: Transaction, item_id: ItemId) -> Confirmations:
        """What owners have said of exactly this item, and which doubt of theirs stands against what it is made of."""
        rows = await tx.rows(_CONFIRMATIONS, (item_id, item_id))
        return Confirmations(
            verified=frozenset(AgencyId(owner) for owner, word in rows if word == "confirmed"),
            unconfirmed=frozenset(AgencyId(owner) for owner, word in rows if word == "standing doubt"),
        )

    async def notices(self, tx: Transaction, item_id: ItemId) -> tuple[tuple[AgencyId, str], ...]:
        """What owners have announced about the item, or about something it is made of, and not lifted."""
        return tuple((AgencyId(owner), kind) for owner, kind in await tx.rows(_NOTICES, (item_id,)))

    async def sources(self, tx: Transaction, item_id: ItemId) -> tuple[tuple[int, Source], ...]:
        """The sources of a derived item, each with the number of the part that uses it."""
        rows = await tx.execute(
            select(_SOURCES).where(_SOURCES.c.item_id == item_id).order_by(_SOURCES.c.part, _SOURCES.c.ordinal)
        )
        return tuple((row.part, Source(item=ItemId(row.source_id), selector=row.selector)) for row in rows)

    async def owners_told(self, tx: Transaction, component: AgencyId, text: str) -> frozenset[AgencyId]:
        """Whose information a text repeats, as far as this component was given it."""
        sources = await recognise(tx, component, of_text(self._sealer, text))
        owners = await owners_of(tx, {one.item for one in sources}) if sources else {}
        return frozenset[AgencyId]().union(*owners.values())

    async def held_under(self, tx: Transaction, item_id: ItemId) -> tuple[ReleaseId, ...]:
        """The releases under which the author's component held what this item is made of."""
        statement = select(_HELD_UNDER.c.release_id).where(_HELD_UNDER.c.item_id == item_id)
        return tuple(ReleaseId(one) for one in (await tx.execute(statement)).scalars())


def _item(row: Any, markings: Sequence[Any]) -> Item:
    lineage = Lineage(
        markings=tuple(
            Marking(
                owner=m.owner,
                custodian=m.custodian,
                source_system=m.source_system,
                source_reference=m.source_reference,
                agreement=m.agreement,
                caveats=tuple(m.caveats),
                asked_by=m.asked_by,
                case_id=CaseId(m.case_id),
                at=m.at,
                selectors=None if m.selectors is None else tuple(m.selectors),
            )
            for m in markings
        ),
        roots=frozenset(),
        expires_at=row.expires_at,
    )
    return Item(
        id=row.id,
        kind=ItemKind(row.kind),
        case_id=row.case_id,
        purpose=row.purpose,
        author=row.author,
        component=row.component,
        search_id=row.search_id,
        candidates=row.candidates,
        created_at=row.created_at,
        lineage=lineage,
    )
