"""Which held releases something has come for: read off the log, which holds every act that could cure one.

An act's entry is in its own transaction, so no grant, review or policy can come without being seen here, by whichever
way it was recorded. Entries are taken in the order of their transactions up to the horizon of running ones (see
``broker.audit.sequencer``), so that none is passed over, and each wakes what it may concern once.
"""

from typing import Final

from broker.storage.unit_of_work import Transaction

_AT_ONCE: Final = 2_000
_CURSOR: Final = """
SELECT xact::text AS xact, entry_id, xact >= pg_snapshot_xmax(pg_current_snapshot()) AS ahead
FROM held_cursor WHERE id = 1 FOR UPDATE SKIP LOCKED
"""
_ENTRIES: Final = """
SELECT id, xact::text AS xact, tag, subjects FROM audit_entry
WHERE (xact, id) > (%(xact)s::text::xid8, %(entry)s::int8) AND xact < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xact, id LIMIT %(most)s
"""
_MOVE: Final = "UPDATE held_cursor SET xact = %s::text::xid8, entry_id = %s WHERE id = 1"
_HORIZON: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xact"
_WAKE_ALL: Final = "UPDATE held_release SET woken = true WHERE state = 'held' AND NOT woken"
# A finding aid and no judgement: whether the grant covers the question is decided anew, under lock.
_WAKE_FOR_GRANTS: Final = """
UPDATE held_release h SET woken = true FROM permission_grant g
WHERE g.id = ANY (%s) AND h.state = 'held' AND NOT h.woken AND h.owners @> ARRAY[g.owner::text]
    AND (g.lift OR (h.action = g.action AND (g.include_components OR h.recipient = ANY (g.recipients))))
"""
_WAKE_FOR_REVIEWS: Final = """
UPDATE held_release h SET woken = true FROM item_root r
WHERE r.root_id = ANY (%s) AND r.item_id = h.item_id AND h.state = 'held' AND h.unreviewed AND NOT h.woken
"""
_GRANTS: Final = frozenset({"grant:register:recorded", "grant:register:confirmed", "grant:register:resumed"})
_REVIEWS: Final = frozenset({"item:review:recorded", "item:review:resolved"})
_POLICY: Final = "policy:bundle:activated"


async def wake(tx: Transaction) -> int:
    """Wake held releases for what has been committed since the last time; how many entries were read.

    0 also while another process is at it, which then sees all that this one would have.
    """
    found = await tx.rows(_CURSOR)
    if not found:
        return 0
    [cursor] = found
    if cursor.ahead:
        # The database was restored into a younger server: where the log was read to says nothing here.
        [horizon] = await tx.rows(_HORIZON)
        await tx.write(_WAKE_ALL, ())
        await tx.write(_MOVE, (horizon.xact, 0))
        return 0
    entries = await tx.rows(_ENTRIES, {"xact": cursor.xact, "entry": cursor.entry_id, "most": _AT_ONCE})
    if not entries:
        return 0
    if any(entry.tag == _POLICY for entry in entries):
        await tx.write(_WAKE_ALL, ())
    for tags, subject, statement in ((_GRANTS, "grant", _WAKE_FOR_GRANTS), (_REVIEWS, "item", _WAKE_FOR_REVIEWS)):
        named = sorted(
            {entry.subjects[subject] for entry in entries if entry.tag in tags and subject in entry.subjects}
        )
        if named:
            await tx.write(statement, (named,))
    await tx.write(_MOVE, (entries[-1].xact, entries[-1].id))
    return len(entries)
