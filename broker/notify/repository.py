"""Rows of messages: taken in batches that skip what another worker holds, and put back with the next attempt."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from broker.jobs.model import Happened
from broker.kernel.ids import AgencyId, NotificationId
from broker.notify.model import Notification, Waiting
from broker.storage.unit_of_work import Transaction

LONGEST_WAIT: Final = timedelta(hours=1)
_DUE: Final = (
    "SELECT agency FROM unnest(%s::text[]) AS agency WHERE EXISTS (SELECT FROM notification"
    " WHERE recipient = agency AND delivered_at IS NULL AND next_attempt_at <= clock_timestamp())"
)
# The next attempt is set before the first one goes out: should this worker die, the batch is taken up again then.
_TAKE: Final = """
WITH taken AS MATERIALIZED (
    SELECT id FROM notification
    WHERE recipient = %(agency)s AND delivered_at IS NULL AND next_attempt_at <= clock_timestamp()
    ORDER BY next_attempt_at, at LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED)
UPDATE notification n SET next_attempt_at = clock_timestamp() + %(lease)s FROM taken WHERE n.id = taken.id
RETURNING n.id, n.recipient, n.subject, n.about, n.at, n.attempts, n.read_at
"""
_DELIVERED: Final = (
    "UPDATE notification SET delivered_at = clock_timestamp(), attempts = attempts + 1"
    " WHERE id = %s AND delivered_at IS NULL RETURNING attempts"
)
# One second, then twice as long each time, up to an hour; a part of it by chance, so that not all come back at once.
_FAILED: Final = """
UPDATE notification SET attempts = attempts + 1, last_fault = %(fault)s,
    next_attempt_at = clock_timestamp()
        + least(%(longest)s, %(first)s * power(2, least(attempts, 20))) * (0.5 + random() / 2)
WHERE id = ANY (%(ids)s) AND delivered_at IS NULL
"""
_UNTRIED: Final = (
    "UPDATE notification SET next_attempt_at = clock_timestamp() WHERE id = ANY (%s) AND delivered_at IS NULL"
)
_INBOX: Final = """
SELECT id, recipient, subject, about, at, attempts, read_at FROM notification
WHERE recipient = %(agency)s AND subject = ANY (%(subjects)s) AND (NOT %(unread)s OR read_at IS NULL)
  AND (%(after)s = '' OR (at, id) > (SELECT at, id FROM notification WHERE id = %(after)s AND recipient = %(agency)s))
ORDER BY at, id LIMIT %(limit)s
"""
_HOLD: Final = (
    "SELECT id, recipient, subject, about, at, attempts, read_at FROM notification"
    " WHERE id = %s AND recipient = %s AND subject = ANY (%s) FOR NO KEY UPDATE"
)
_READ: Final = "UPDATE notification SET read_by = %s, read_at = %s WHERE id = %s"
_WAITING: Final = """
SELECT recipient, count(*) AS undelivered, min(at) AS oldest_at, max(attempts) AS attempts,
    (array_agg(last_fault ORDER BY attempts DESC))[1] AS last_fault
FROM notification WHERE delivered_at IS NULL AND recipient = ANY (%s) GROUP BY recipient ORDER BY recipient
"""


async def due(tx: Transaction, agencies: Sequence[AgencyId]) -> list[AgencyId]:
    """Those of *agencies* for which something waits whose time has come."""
    return [row.agency for row in await tx.rows(_DUE, (list(agencies),))]


async def take(tx: Transaction, agency: AgencyId, most: int, lease: timedelta) -> list[Notification]:
    """What is due for an agency, oldest first, kept from other workers for *lease*."""
    rows = await tx.rows(_TAKE, {"agency": agency, "most": most, "lease": lease})
    return sorted((_notification(row) for row in rows), key=lambda one: (one.at, one.id))


async def delivered(tx: Transaction, message: NotificationId) -> int | None:
    """Note that a message has arrived; after how many rounds. None when that was known already."""
    rows = await tx.rows(_DELIVERED, (message,))
    return rows[0].attempts if rows else None


async def failed(tx: Transaction, messages: Sequence[NotificationId], fault: str, first_wait: timedelta) -> None:
    """Put messages back that were not taken, each for its own next attempt."""
    values = {"ids": list(messages), "fault": fault, "first": first_wait, "longest": LONGEST_WAIT}
    await tx.write(_FAILED, values)


async def untried(tx: Transaction, messages: Sequence[NotificationId]) -> None:
    """Put messages back that there was no time for."""
    await tx.write(_UNTRIED, (list(messages),))


async def inbox(  # whose, what of it, and which part of the list
    tx: Transaction, agency: str, subjects: Sequence[Happened], after: str, limit: int, *, unread: bool
) -> list[Notification]:
    """An agency's messages on these subjects, in the order in which they were posted."""
    values = {"agency": agency, "subjects": list(subjects), "unread": unread, "after": after, "limit": limit}
    return [_notification(row) for row in await tx.rows(_INBOX, values)]


async def hold(tx: Transaction, message: str, agency: str, subjects: Sequence[Happened]) -> Notification | None:
    """A message of that agency on one of these subjects, its row held."""
    rows = await tx.rows(_HOLD, (message, agency, list(subjects)))
    return _notification(rows[0]) if rows else None


async def read(tx: Transaction, message: NotificationId, by: str, at: Any) -> None:
    """Note who has read a message that is held."""
    await tx.write(_READ, (by, at, message))


async def waiting(tx: Transaction, agencies: Sequence[AgencyId]) -> list[Waiting]:
    """What has not been brought to those of *agencies* that wait for something."""
    return [
        Waiting(
            agency=row.recipient,
            undelivered=row.undelivered,
            oldest_at=row.oldest_at,
            attempts=row.attempts,
            last_fault=row.last_fault,
        )
        for row in await tx.rows(_WAITING, (list(agencies),))
    ]


def _notification(row: Any) -> Notification:
    return Notification(
        id=row.id,
        to=row.recipient,
        subject=Happened(row.subject),
        about=row.about,
        at=row.at,
        attempts=row.attempts,
        read_at=row.read_at,
    )
