"""What was made of an item: the one walk over sources, for an owner's word that has to reach all of it."""

from typing import Final

from sqlalchemy import text

from broker.kernel.ids import ItemId
from broker.storage.unit_of_work import Transaction

_WALK: Final = text(
    "WITH RECURSIVE made(id) AS (SELECT CAST(:item AS varchar) UNION"
    " SELECT s.item_id FROM item_source s JOIN made ON s.source_id = made.id) SELECT id FROM made"
)
_HOLD: Final = text("SELECT id FROM item WHERE id = ANY (:items) ORDER BY id FOR UPDATE")


async def hold_made_of(tx: Transaction, item_id: str) -> tuple[ItemId, ...]:
    """The item and everything made of it, each held FOR UPDATE: no release of them commits before this does.

    Something may be written from one of them while this waits for a lock, so it walks again until nothing is new.
    """
    held: tuple[str, ...] = ()
    while True:
        found = tuple(sorted((await tx.execute(_WALK, {"item": item_id})).scalars()))
        if found == held:
            return tuple(ItemId(one) for one in held)
        await tx.execute(_HOLD, {"items": list(found)})
        held = found
