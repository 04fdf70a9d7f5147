"""Rows of notices."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import insert, select, text, update

from broker.kernel.ids import AgencyId, ItemId, NoticeId, ReleaseId
from broker.recall.model import Delivery, Notice, NoticeKind
from broker.recall.tables import AffectedRow, DeliveryRow, NoticeRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_NOTICES = table(NoticeRow)
_AFFECTED = table(AffectedRow)
_DELIVERIES = table(DeliveryRow)

_TELL: Final = text(
    "INSERT INTO notice_delivery (notice_id, disclosure_id, recipient)"
    # Who received nothing of the owner's has nothing to be told, and need not learn that there was something.
    " SELECT :notice, id, recipient FROM disclosure WHERE item_id = ANY (:items) AND :owner = ANY (owners)"
)
_TELL_OF_COPY: Final = text(
    "INSERT INTO notice_delivery (notice_id, disclosure_id, recipient)"
    " SELECT :notice, id, recipient FROM disclosure WHERE release_id = :release"
)
_NOTICE: Final = """
SELECT n.*, (SELECT count(*) FROM notice_item i WHERE i.notice_id = n.id) AS affected,
    (SELECT count(*) FROM notice_delivery d WHERE d.notice_id = n.id) AS recipients,
    (SELECT count(*) FROM notice_delivery d WHERE d.notice_id = n.id AND d.acknowledged_at IS NOT NULL) AS acknowledged
FROM notice n
"""
_DELIVERY: Final = """
SELECT d.notice_id, d.disclosure_id, d.recipient, d.acknowledged_by, d.acknowledged_at, n.owner, n.kind, n.text,
    n.acknowledge_by, n.exempt_ground, n.lifted_at, x.release_id, x.item_id, x.person, x.address
FROM notice_delivery d JOIN notice n ON n.id = d.notice_id JOIN disclosure x ON x.id = d.disclosure_id
"""


async def add(tx: Transaction, notice: Notice, affected: tuple[ItemId, ...]) -> int:
    """Write a notice, mark what it reaches, and note every recipient to be told; how many there are."""
    await _write(tx, notice)
    rows = [{"notice_id": notice.id, "item_id": one, "standing": True} for one in affected]
    await tx.execute(insert(_AFFECTED), rows)
    return int(
        (await tx.execute(_TELL, {"notice": notice.id, "owner": notice.owner, "items": list(affected)})).rowcount
    )


async def recipients_of(tx: Transaction, notice_id: str) -> tuple[AgencyId, ...]:
    """Whom a notice is for, each once."""
    statement = select(_DELIVERIES.c.recipient).where(_DELIVERIES.c.notice_id == notice_id).distinct()
    return tuple(AgencyId(one) for one in sorted((await tx.execute(statement)).scalars()))


async def add_for_copy(tx: Transaction, notice: Notice, release: ReleaseId) -> int:
    """Write a notice about one copy, which reaches no item; its recipient is to be told. How many there are."""
    await _write(tx, notice)
    return int((await tx.execute(_TELL_OF_COPY, {"notice": notice.id, "release": release})).rowcount)


async def _write(tx: Transaction, notice: Notice) -> None:
    values = notice.model_dump(exclude={"item", "affected", "recipients", "acknowledged"})
    await tx.execute(insert(_NOTICES).values(**values, item_id=notice.item, lifted_by=None))


async def hold(tx: Transaction, notice_id: str) -> Notice | None:
    """A notice, its row held."""
    statement = select(_NOTICES.c.id).where(_NOTICES.c.id == notice_id).with_for_update()
    if (await tx.execute(statement)).one_or_none() is None:
        return None
    return _notice((await tx.execute(text(_NOTICE + "WHERE n.id = :id"), {"id": notice_id})).one())


async def page(tx: Transaction, owner: str | None, after: str, limit: int) -> list[Notice]:
    """Notices of an owner, or all, in the order of their ids."""
    rows = await tx.execute(
        text(
            _NOTICE + "WHERE n.id > :after AND (CAST(:owner AS text) IS NULL OR n.owner = :owner)"
            " ORDER BY n.id LIMIT :limit"
        ),
        {"after": after, "owner": owner, "limit": limit},
    )
    return [_notice(row) for row in rows]


async def lift(tx: Transaction, notice: NoticeId, by: str, at: Any) -> tuple[ItemId, ...]:
    """End a notice that is held; the items that it reached."""
    await tx.execute(update(_NOTICES).where(_NOTICES.c.id == notice).values(lifted_by=by, lifted_at=at))
    reached = update(_AFFECTED).where(_AFFECTED.c.notice_id == notice).values(standing=False)
    return tuple(ItemId(one) for one in (await tx.execute(reached.returning(_AFFECTED.c.item_id))).scalars())


async def deliveries(tx: Transaction, recipient: str, limit: int) -> list[Delivery]:
    """What one agency has to be told: what is to be acknowledged still before all else, and the newest first."""
    order = "d.acknowledged_at IS NULL AND n.lifted_at IS NULL DESC, n.recorded_at DESC, 1, 2"
    rows = await tx.execute(
        text(_DELIVERY + f"WHERE d.recipient = :recipient ORDER BY {order} LIMIT :limit"),
        {"recipient": recipient, "limit": limit},
    )
    return [_delivery(row) for row in rows]


async def acknowledge(tx: Transaction, notice_id: str, recipient: str, by: str, at: Any) -> int:
    """Note that an agency has read a notice, for every copy it holds; how many copies that were open."""
    statement = (
        update(_DELIVERIES)
        .where(
            _DELIVERIES.c.notice_id == notice_id,
            _DELIVERIES.c.recipient == recipient,
            _DELIVERIES.c.acknowledged_at.is_(None),
        )
        .values(acknowledged_by=by, acknowledged_at=at)
    )
    return int((await tx.execute(statement)).rowcount)


async def standing(tx: Transaction, owner: str, items: Sequence[ItemId]) -> bool:
    """Whether a notice of *owner* still stands against one of *items*."""
    statement = (
        select(_AFFECTED.c.notice_id)
        .join(_NOTICES, _NOTICES.c.id == _AFFECTED.c.notice_id)
        .where(_AFFECTED.c.item_id.in_(items), _AFFECTED.c.standing, _NOTICES.c.owner == owner)
        .limit(1)
    )
    return (await tx.execute(statement)).one_or_none() is not None


async def reaches(tx: Transaction, notice_id: str, recipient: str) -> bool:
    """Whether a notice is for that agency."""
    statement = select(_DELIVERIES.c.notice_id).where(
        _DELIVERIES.c.notice_id == notice_id, _DELIVERIES.c.recipient == recipient
    )
    return (await tx.execute(statement.limit(1))).one_or_none() is not None


def _notice(row: Any) -> Notice:
    return Notice(
        id=row.id,
        item=row.item_id,
        owner=row.owner,
        kind=NoticeKind(row.kind),
        text=row.text,
        recorded_by=row.recorded_by,
        recorded_at=row.recorded_at,
        acknowledge_by=row.acknowledge_by,
        exempt_ground=row.exempt_ground,
        lifted_at=row.lifted_at,
        affected=row.affected,
        recipients=row.recipients,
        acknowledged=row.acknowledged,
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(
        notice=row.notice_id,
        disclosure=row.disclosure_id,
        release=row.release_id,
        item=row.item_id,
        owner=row.owner,
        kind=NoticeKind(row.kind),
        text=row.text,
        recipient=row.recipient,
        person=row.person,
        address=row.address,
        acknowledge_by=row.acknowledge_by,
        exempt_ground=row.exempt_ground,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        lifted_at=row.lifted_at,
    )
