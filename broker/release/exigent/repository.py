"""Rows of exigent releases, in the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, update

from broker.kernel.ids import AgencyId, ReleaseId
from broker.release.exigent.model import ExigentPart, ExigentRelease, OwnerState, SaidBefore
from broker.release.exigent.tables import ExigentPartRow, ExigentReleaseRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_RELEASES = table(ExigentReleaseRow)
_PARTS = table(ExigentPartRow)
_SELECT: Final = """
SELECT r.id, r.item_id, r.component, r.requested_by, r.recipient, d.person, x.danger, r.at, x.until
FROM exigent_release x JOIN release r ON r.id = x.release_id JOIN disclosure d ON d.release_id = r.id
"""
_ONE: Final = _SELECT + " WHERE x.release_id = %s"
_PAGE: Final = (
    _SELECT
    + """ WHERE x.release_id > %(after)s
    AND (%(owner)s::text IS NULL OR EXISTS (
        SELECT FROM exigent_part p WHERE p.release_id = x.release_id AND p.owner = %(owner)s))
    AND (%(component)s::text IS NULL OR r.component = %(component)s)
    ORDER BY x.release_id LIMIT %(limit)s"""
)
_PARTS_OF: Final = "SELECT * FROM exigent_part WHERE release_id = ANY (%s) ORDER BY release_id, owner"
# An answer that is under way is waited for: whoever reads them held sees what it says, or goes before it.
_PARTS_HELD: Final = _PARTS_OF + " FOR SHARE"
_PARTS_FOR_ANSWER: Final = _PARTS_OF + " FOR UPDATE"
# What was refused of a list was refused of all that is made of it; a part that is being answered is waited for.
_SAID_BEFORE: Final = """
SELECT p.owner, p.state, x.until FROM exigent_part p JOIN release r ON r.id = p.release_id
JOIN exigent_release x ON x.release_id = r.id WHERE r.recipient = %(recipient)s AND (r.item_id = %(item)s OR EXISTS (
    SELECT FROM item_root a JOIN item_root b ON b.root_id = a.root_id
    WHERE a.item_id = r.item_id AND b.item_id = %(item)s))
ORDER BY p.release_id, p.owner FOR SHARE OF p
"""


async def add(tx: Transaction, release: ReleaseId, danger: str, until: datetime, owners: Sequence[AgencyId]) -> None:
    """Write that a release is exigent, and whose permission was missing."""
    await tx.execute(insert(_RELEASES).values(release_id=release, danger=danger, until=until))
    parts = [{"release_id": release, "owner": owner, "state": OwnerState.SILENT.value} for owner in owners]
    await tx.execute(insert(_PARTS), parts)


async def read(tx: Transaction, release_id: str, *, held: bool = False) -> ExigentRelease | None:
    """An exigent release; with *held* no owner's answer changes before this commits."""
    return await _one(tx, release_id, _PARTS_HELD if held else _PARTS_OF)


async def hold(tx: Transaction, release_id: str) -> ExigentRelease | None:
    """An exigent release, its parts locked for an answer."""
    return await _one(tx, release_id, _PARTS_FOR_ANSWER)


async def said_before(tx: Transaction, item: str, recipient: str) -> SaidBefore:
    """What owners have said of that recipient's having this, or something of the same lists, in danger before."""
    said = await tx.rows(_SAID_BEFORE, {"item": item, "recipient": recipient})
    now = await tx.clock()
    refused = {part.owner for part in said if part.state == OwnerState.REFUSED.value}
    lapsed = {part.owner for part in said if part.state == OwnerState.SILENT.value and part.until <= now}
    return SaidBefore(refused=tuple(sorted(refused)), lapsed=tuple(sorted(lapsed)))


async def page(
    tx: Transaction, owner: str | None, component: str | None, after: str, limit: int
) -> list[ExigentRelease]:
    """Those with a part of an owner, or of a component, or all, in the order of their ids."""
    found = await tx.rows(_PAGE, {"owner": owner, "component": component, "after": after, "limit": limit})
    parts = await tx.rows(_PARTS_OF, ([row.id for row in found],))
    return [_release(row, [part for part in parts if part.release_id == row.id]) for row in found]


async def change(tx: Transaction, release: ReleaseId, owner: AgencyId, **values: Any) -> None:
    """Write columns of one owner's part that is held."""
    where = (_PARTS.c.release_id == release, _PARTS.c.owner == owner)
    await tx.execute(update(_PARTS).where(*where).values(**values))


async def _one(tx: Transaction, release_id: str, parts: Any) -> ExigentRelease | None:
    found = await tx.rows(_ONE, (release_id,))
    return _release(found[0], await tx.rows(parts, ([release_id],))) if found else None


def _release(row: Any, parts: Sequence[Any]) -> ExigentRelease:
    return ExigentRelease(
        id=row.id,
        item=row.item_id,
        component=row.component,
        requested_by=row.requested_by,
        recipient=row.recipient,
        person=row.person,
        danger=row.danger,
        at=row.at,
        until=row.until,
        parts=tuple(
            ExigentPart(
                owner=part.owner,
                state=OwnerState(part.state),
                read_at=part.read_at,
                answered_by=part.answered_by,
                answered_at=part.answered_at,
                note=part.note,
            )
            for part in parts
        ),
    )
