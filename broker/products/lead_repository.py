"""Rows of what was done on leads, and of what became of them."""

from typing import Any, Final

from sqlalchemy import insert, select, text

from broker.kernel.ids import ItemId
from broker.products.corroboration import Origins
from broker.products.tables import ActionRow, OutcomeRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_ACTIONS = table(ActionRow)
_OUTCOMES = table(OutcomeRow)

_ORIGINS: Final = text(
    "SELECT r.root_id, i.search_id, p.sent_sha256 FROM item_root r LEFT JOIN item i ON i.id = r.root_id"
    " LEFT JOIN probe p ON p.search_id = i.search_id WHERE r.item_id = :item"
)
_ANCESTORS: Final = text(
    "WITH RECURSIVE behind(id) AS (SELECT CAST(:item AS varchar) UNION"
    " SELECT s.source_id FROM item_source s JOIN behind ON s.item_id = behind.id) SELECT id FROM behind"
)


async def origins(tx: Transaction, item: ItemId) -> Origins:
    """Where an item comes from."""
    rows = (await tx.execute(_ORIGINS, {"item": item})).all()
    ancestors = (await tx.execute(_ANCESTORS, {"item": item})).scalars()
    return Origins(
        items=frozenset(ItemId(one) for one in ancestors) | {ItemId(row.root_id) for row in rows},
        searches=frozenset(row.search_id for row in rows if row.search_id is not None),
        probes=frozenset(row.sent_sha256 for row in rows if row.sent_sha256 is not None),
        known=all(row.search_id is not None for row in rows),
    )


async def add_action(tx: Transaction, record: ItemId, lead: ItemId, **values: Any) -> None:
    """Count an action; what it was is the content of the item *record*."""
    await tx.execute(insert(_ACTIONS).values(item_id=record, lead_id=lead, **values))


async def actions(tx: Transaction, lead: ItemId) -> list[Any]:
    """What was done on a lead, in the order of time."""
    statement = select(_ACTIONS).where(_ACTIONS.c.lead_id == lead).order_by(_ACTIONS.c.at, _ACTIONS.c.item_id)
    return list(await tx.execute(statement))


async def add_outcome(tx: Transaction, **values: Any) -> None:
    """Write what became of a lead."""
    await tx.execute(insert(_OUTCOMES).values(**values))
