"""Who has a part in an item: nothing of what it says, only whose it is. For the register of permission."""

from collections.abc import Collection, Mapping

from sqlalchemy import select

from broker.items.tables import ItemRow, MarkingRow
from broker.kernel.ids import AgencyId, ItemId, PartnerId
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_ITEMS = table(ItemRow)
_MARKINGS = table(MarkingRow)


async def custodian_of(tx: Transaction, item_id: str, owner: AgencyId) -> AgencyId | None:
    """The component that holds the item, if *owner* has a part in it; None otherwise, or if there is no such item."""
    statement = (
        select(_ITEMS.c.component)
        .join(_MARKINGS, _MARKINGS.c.item_id == _ITEMS.c.id)
        .where(_ITEMS.c.id == item_id, _MARKINGS.c.owner == owner)
        .limit(1)
    )
    component = (await tx.execute(statement)).scalar_one_or_none()
    return None if component is None else AgencyId(component)


async def sides_of(tx: Transaction, item_id: str, owner: AgencyId) -> frozenset[AgencyId]:
    """The component that holds the item and those that asked for the owner's part; empty where there is no such part.

    They differ where a component has written the item from what another one had asked for.
    """
    statement = (
        select(_ITEMS.c.component, _MARKINGS.c.asked_by)
        .join(_MARKINGS, _MARKINGS.c.item_id == _ITEMS.c.id)
        .where(_ITEMS.c.id == item_id, _MARKINGS.c.owner == owner)
    )
    return frozenset(AgencyId(one) for row in await tx.execute(statement) for one in row)


async def systems_of(tx: Transaction, item_id: str, owner: AgencyId) -> frozenset[PartnerId | None]:
    """The systems that the owner's parts of the item came from; None for a part that came from none."""
    statement = select(_MARKINGS.c.source_system).where(_MARKINGS.c.item_id == item_id, _MARKINGS.c.owner == owner)
    found = (await tx.execute(statement.distinct())).scalars()
    return frozenset(None if one is None else PartnerId(one) for one in found)


async def custodian_in_case(tx: Transaction, case_id: str, owner: AgencyId) -> AgencyId | None:
    """The component that holds anything of *owner* obtained under that case; None when there is nothing."""
    statement = select(_MARKINGS.c.asked_by).where(_MARKINGS.c.case_id == case_id, _MARKINGS.c.owner == owner).limit(1)
    component = (await tx.execute(statement)).scalar_one_or_none()
    return None if component is None else AgencyId(component)


async def owners_of(tx: Transaction, items: Collection[ItemId]) -> Mapping[ItemId, frozenset[AgencyId]]:
    """Every owner of each of these items; items that are not there are left out."""
    rows = await tx.execute(select(_MARKINGS.c.item_id, _MARKINGS.c.owner).where(_MARKINGS.c.item_id.in_(items)))
    owners: dict[ItemId, set[AgencyId]] = {}
    for row in rows:
        owners.setdefault(ItemId(row.item_id), set()).add(AgencyId(row.owner))
    return {item: frozenset(found) for item, found in owners.items()}
