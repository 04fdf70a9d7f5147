"""Who has not acknowledged in time, and reminding them and the owner once a day."""

from datetime import datetime, timedelta
from typing import Any, Final

from broker.audit.events import Actor, NoticeReminded, service_actor
from broker.audit.recorder import record
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.ids import AgencyId, NoticeId
from broker.kernel.words import Role
from broker.recall.model import Overdue, Reminder
from broker.storage.unit_of_work import Transaction, UnitOfWork

REMINDER: Final = service_actor("recall-reminder")
BETWEEN_REMINDERS: Final = timedelta(days=1)
_AT_ONCE: Final = 500
_OPEN: Final = (
    " d.acknowledged_at IS NULL AND n.lifted_at IS NULL AND n.exempt_ground IS NULL"
    " AND n.acknowledge_by <= clock_timestamp()"
)
_LIST: Final = f"""
SELECT d.notice_id, d.disclosure_id, x.release_id, x.item_id, n.owner, d.recipient, x.person, x.address,
    n.acknowledge_by, floor(extract(epoch FROM clock_timestamp() - n.acknowledge_by) / 86400)::integer AS days,
    d.reminded_at
FROM notice_delivery d JOIN notice n ON n.id = d.notice_id JOIN disclosure x ON x.id = d.disclosure_id
WHERE {_OPEN} AND (%(owner)s::text IS NULL OR n.owner = %(owner)s)
ORDER BY n.acknowledge_by, d.notice_id, d.disclosure_id LIMIT %(limit)s
"""
_REMIND: Final = f"""
WITH due AS MATERIALIZED (
    SELECT d.notice_id, d.disclosure_id, n.owner
    FROM notice_delivery d JOIN notice n ON n.id = d.notice_id
    WHERE {_OPEN} AND (d.reminded_at IS NULL OR d.reminded_at <= clock_timestamp() - %(between)s)
    ORDER BY d.notice_id, d.disclosure_id LIMIT %(limit)s FOR NO KEY UPDATE OF d SKIP LOCKED)
UPDATE notice_delivery d SET reminded_at = clock_timestamp() FROM due
WHERE d.notice_id = due.notice_id AND d.disclosure_id = due.disclosure_id
RETURNING d.notice_id, due.owner, d.recipient
"""


class OverdueService:
    """The overdue list of an owner, and the reminders."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    async def page(self, actor: Actor, limit: int) -> list[Overdue]:
        """Copies whose recipients have not acknowledged a notice of the actor's agency in time; for an auditor all."""
        owner = None if Role.AUDITOR.value in actor.roles else actor.agency
        async with self._work.begin() as tx:
            return [_overdue(row) for row in await tx.rows(_LIST, {"owner": owner, "limit": limit})]

    async def remind(self) -> int:
        """Remind every recipient that is overdue, and tell the owner, once a day; how many reminders there were."""
        async with self._work.begin() as tx:
            rows = await tx.rows(_REMIND, {"between": BETWEEN_REMINDERS, "limit": _AT_ONCE})
            reminders = {
                Reminder(notice=NoticeId(row.notice_id), owner=row.owner, recipient=row.recipient) for row in rows
            }
            now = await tx.clock()
            for notice in sorted({one.notice for one in reminders}):
                await _remind(tx, [one for one in reminders if one.notice == notice], now)
            return len(reminders)


async def _remind(tx: Transaction, of_notice: list[Reminder], now: datetime) -> None:
    notice, owner = of_notice[0].notice, of_notice[0].owner
    for agency in sorted({owner, *(one.recipient for one in of_notice)}):
        about = {"notice": notice}
        await post(tx, Message(to=AgencyId(agency), subject=Happened.NOTICE_UNACKNOWLEDGED, about=about, at=now))
    await record(tx, NoticeReminded(actor=REMINDER, notice_id=notice, owner=owner, recipients=len(of_notice)))


def _overdue(row: Any) -> Overdue:
    return Overdue(
        notice=row.notice_id,
        disclosure=row.disclosure_id,
        release=row.release_id,
        item=row.item_id,
        owner=row.owner,
        recipient=row.recipient,
        person=row.person,
        address=row.address,
        acknowledge_by=row.acknowledge_by,
        days=row.days,
        reminded_at=row.reminded_at,
    )
