"""Writing items: an item, its markings, its roots and its sources, in the caller's transaction."""

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import insert, text

from broker.items.binding import binding
from broker.items.fingerprints import of_content, of_text, of_whole
from broker.items.handing_out import keep, recognise
from broker.items.model import Content, Item, Source
from broker.items.tables import HeldUnderRow, ItemRow, MarkingRow, RootRow, SourceRow
from broker.kernel.ids import AgencyId, ItemId, ReleaseId
from broker.storage.sealing import Sealer
from broker.storage.unit_of_work import Transaction

_INHERIT = text(
    "INSERT INTO notice_item (notice_id, item_id, standing)"
    " SELECT DISTINCT notice_id, :item, true FROM notice_item WHERE item_id = ANY (:sources) AND standing"
)


_INHERIT_DOUBT = text(
    "INSERT INTO verification_doubt (origin_id, owner, item_id, standing)"
    " SELECT DISTINCT origin_id, owner, CAST(:item AS varchar), true FROM verification_doubt"
    " WHERE item_id = ANY (:sources) AND standing"
)


class Unmarked(ValueError):
    """An item without an owner would be free for all; it is not written."""


class ItemWriter:
    """Seals the content and writes the rows. It commits nothing."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def write(
        self, tx: Transaction, item: Item, content: Content, sources: Sequence[Sequence[Source]] = ()
    ) -> None:
        """Write *item*; *sources* holds for each part of a derived item the sources it uses."""
        if not item.lineage.markings:
            raise Unmarked(item.id)
        plain = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        sealed = self._sealer.seal(plain, binding(item))
        await tx.execute(
            insert(ItemRow).values(
                id=item.id,
                kind=item.kind.value,
                case_id=item.case_id,
                purpose=item.purpose,
                author=item.author,
                component=item.component,
                search_id=item.search_id,
                candidates=item.candidates,
                created_at=item.created_at,
                expires_at=item.lineage.expires_at,
                content_sha256=hashlib.sha256(plain).hexdigest(),
                wrapped_key=sealed.wrapped_key,
                ciphertext=sealed.ciphertext,
            )
        )
        await tx.execute(
            insert(MarkingRow),
            [
                {
                    "item_id": item.id,
                    "ordinal": ordinal,
                    **marking.model_dump(mode="json", exclude={"at"}),
                    "at": marking.at,
                }
                for ordinal, marking in enumerate(item.lineage.markings)
            ],
        )
        await keep(tx, item.id, item.component, of_content(self._sealer, content))
        if item.lineage.roots:
            roots = [{"item_id": item.id, "root_id": root} for root in sorted(item.lineage.roots)]
            await tx.execute(insert(RootRow), roots)
        rows = [
            {"item_id": item.id, "part": part, "ordinal": n, "source_id": source.item, "selector": source.selector}
            for part, named in enumerate(sources)
            for n, source in enumerate(named)
        ]
        if rows:
            await tx.execute(insert(SourceRow), rows)
            # What an owner has announced about a source holds for what is made of it afterwards, too.
            used = {"item": item.id, "sources": [row["source_id"] for row in rows]}
            await tx.execute(_INHERIT, used)
            await tx.execute(_INHERIT_DOUBT, used)

    async def recognise(self, tx: Transaction, component: AgencyId, text: str) -> tuple[Source, ...]:
        """Where a text without a source stands among what this component was given."""
        return await recognise(tx, component, of_text(self._sealer, text))

    async def recognise_content(self, tx: Transaction, component: AgencyId, content: Any) -> tuple[Source, ...]:
        """Where a whole content, or released fields of one, stands among what this component was given."""
        return await recognise(tx, component, (of_whole(self._sealer, content),))

    async def rest_on(self, tx: Transaction, item_id: ItemId, releases: Collection[ReleaseId]) -> None:
        """Note the releases under which the author's component holds what a new item is made of."""
        if releases:
            rows = [{"item_id": item_id, "release_id": release} for release in sorted(releases)]
            await tx.execute(insert(HeldUnderRow), rows)
