"""Rows of owners' verifications."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import any_, insert, literal, select, text, update

from broker.kernel.ids import AgencyId, ItemId
from broker.products.tables import DoubtRow, VerificationRequestRow, VerificationRow
from broker.products.verification_model import Confirmation, Verification, VerificationRequest
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_REQUESTS = table(VerificationRequestRow)
_ANSWERS = table(VerificationRow)
_DOUBTS = table(DoubtRow)

_DOUBT: Final = text(
    "INSERT INTO verification_doubt (origin_id, owner, item_id, standing)"
    " SELECT :origin, :owner, unnest(CAST(:items AS varchar[])), true"
    " ON CONFLICT (origin_id, owner, item_id) DO UPDATE SET standing = true"
)
_PAGE: Final = text(
    "SELECT r.*, ARRAY (SELECT DISTINCT v.owner FROM verification v WHERE v.item_id = r.item_id AND v.at > r.at"
    " AND v.owner = ANY (r.owners) ORDER BY 1) AS answered FROM verification_request r WHERE r.id > :after"
    " AND (CAST(:component AS text) IS NULL OR r.component = :component)"
    " AND (CAST(:owner AS text) IS NULL OR :owner = ANY (r.owners)) ORDER BY r.id LIMIT :limit"
)


async def add_request(tx: Transaction, request: VerificationRequest) -> None:
    """Write a request."""
    values = request.model_dump(exclude={"item", "owners", "answered"})
    await tx.execute(insert(_REQUESTS).values(**values, item_id=request.item, owners=list(request.owners)))


async def add(tx: Transaction, verification: Verification) -> None:
    """Write what an owner said. The caller holds the item and everything made of it."""
    values = verification.model_dump(mode="json", exclude={"item", "at"})
    await tx.execute(insert(_ANSWERS).values(**values, item_id=verification.item, at=verification.at))


async def doubt(tx: Transaction, origin: ItemId, owner: AgencyId, reached: Sequence[ItemId]) -> None:
    """Mark an item and what is made of it as not confirmed. The caller holds all of them."""
    await tx.execute(_DOUBT, {"origin": origin, "owner": owner, "items": list(reached)})


async def dispel(tx: Transaction, origin: ItemId, owner: AgencyId) -> None:
    """Take back what the owner's earlier answer to this item marked. The caller holds all of them."""
    theirs = (_DOUBTS.c.origin_id == origin, _DOUBTS.c.owner == owner)
    await tx.execute(update(_DOUBTS).where(*theirs).values(standing=False))


async def who_asked(tx: Transaction, item: ItemId, owner: AgencyId) -> list[AgencyId]:
    """The components that have asked this owner about the item."""
    asked = (_REQUESTS.c.item_id == item) & (literal(owner) == any_(_REQUESTS.c.owners))
    rows = await tx.execute(select(_REQUESTS.c.component).where(asked).distinct().order_by(_REQUESTS.c.component))
    return list(rows.scalars())


async def given(tx: Transaction, item: ItemId) -> tuple[Verification, ...]:
    """What owners have said of an item, in the order of time."""
    rows = await tx.execute(select(_ANSWERS).where(_ANSWERS.c.item_id == item).order_by(_ANSWERS.c.at, _ANSWERS.c.id))
    return tuple(
        Verification(
            id=row.id,
            item=row.item_id,
            owner=row.owner,
            outcome=Confirmation(row.outcome),
            note=row.note,
            answered_by=row.answered_by,
            at=row.at,
        )
        for row in rows
    )


async def page(
    tx: Transaction, component: AgencyId | None, owner: AgencyId | None, after: str, limit: int
) -> list[VerificationRequest]:
    """Requests of a component or to an owner, in the order of their ids."""
    rows = await tx.execute(_PAGE, {"component": component, "owner": owner, "after": after, "limit": limit})
    return [_request(row) for row in rows]


def _request(row: Any) -> VerificationRequest:
    return VerificationRequest(
        id=row.id,
        item=row.item_id,
        component=row.component,
        requested_by=row.requested_by,
        at=row.at,
        owners=tuple(row.owners),
        note=row.note,
        answered=tuple(row.answered),
    )
