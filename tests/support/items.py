"""Items as they would have come of answers and of writing, for tests that write them straight to the store."""

from datetime import UTC, datetime
from typing import Any

from broker.items.model import Item
from broker.kernel.ids import AgencyId, CaseId, ItemId, PurposeId, Subject, new_id
from broker.kernel.words import ItemKind
from broker.provenance.lineage import Lineage
from tests.support.permission import marking


def an_item(
    case: CaseId, owners: tuple[str, ...], kind: ItemKind, *, caveats: tuple[str, ...] = (), **changes: Any
) -> Item:
    """An item of ICE-HSI's with a part of each owner; *changes* are members of it."""
    item_id = ItemId(new_id("itm"))
    item = Item(
        id=item_id,
        kind=kind,
        case_id=case,
        purpose=PurposeId("criminal_investigation"),
        author=Subject("ana"),
        component=AgencyId("ICE-HSI"),
        search_id=None,
        candidates=0,
        created_at=datetime.now(UTC),
        lineage=Lineage(
            markings=tuple(marking(owner, case_id=case, caveats=caveats) for owner in owners),
            roots=frozenset({item_id}) if kind is ItemKind.CANDIDATE_LIST else frozenset(),
        ),
    )
    return item.model_copy(update=changes)
