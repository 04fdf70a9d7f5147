"""Which worker looks after which open leg, and when a leg is due again.

A leg that waits costs a row and nothing else: no job, no task, no connection. A worker takes legs that are due for
`LEASE`, and says again and again that it still has them; what it no longer says so of, another worker takes over.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.kernel.ids import PartnerId, SearchId, TransactionId
from broker.storage.unit_of_work import Transaction

LEASE: Final = timedelta(seconds=5)

# The words of the state stand in each statement as they stand in the index, which is used only then.
_DUE: Final = """
SELECT wanted.partner FROM unnest(%(partners)s::text[]) AS wanted(partner)
WHERE EXISTS (SELECT FROM search_leg l WHERE l.partner = wanted.partner AND l.due_at <= clock_timestamp()
  AND l.state IN ('queued', 'sent', 'pending') AND (l.leased_until IS NULL OR l.leased_until <= clock_timestamp())
  AND (%(search)s::text IS NULL OR l.search_id = %(search)s))
"""
_IN_FLIGHT: Final = """
SELECT partner, count(*) AS legs FROM search_leg
WHERE partner = ANY(%(partners)s) AND leased_until IS NOT NULL AND leased_until > %(now)s
  AND state IN ('queued', 'sent', 'pending') GROUP BY partner
"""
_TAKE: Final = """
WITH due AS (
  SELECT transaction_id FROM search_leg
  WHERE partner = %(partner)s AND due_at <= %(now)s AND state IN ('queued', 'sent', 'pending')
    AND (leased_until IS NULL OR leased_until <= %(now)s) AND (%(search)s::text IS NULL OR search_id = %(search)s)
  ORDER BY due_at LIMIT %(room)s FOR UPDATE SKIP LOCKED)
UPDATE search_leg l SET leased_until = %(until)s FROM due WHERE l.transaction_id = due.transaction_id
RETURNING l.transaction_id, l.search_id
"""
_RENEW: Final = """
UPDATE search_leg SET leased_until = clock_timestamp() + %(lease)s WHERE transaction_id IN (
  SELECT transaction_id FROM search_leg WHERE transaction_id = ANY(%(legs)s)
    AND state IN ('queued', 'sent', 'pending') ORDER BY transaction_id FOR UPDATE SKIP LOCKED)
"""
_ENDED: Final = """
SELECT transaction_id FROM search_leg WHERE transaction_id = ANY(%(legs)s)
  AND state NOT IN ('queued', 'sent', 'pending')
"""
_LET_GO: Final = """
UPDATE search_leg SET leased_until = NULL, due_at = clock_timestamp() + %(after)s, reason = coalesce(%(why)s, reason)
WHERE transaction_id = %(leg)s AND state IN ('queued', 'sent', 'pending')
"""
_SAY_WHY: Final = """
UPDATE search_leg SET reason = %(why)s WHERE transaction_id IN (
  SELECT transaction_id FROM search_leg WHERE partner = ANY(%(partners)s) AND due_at <= clock_timestamp()
    AND state IN ('queued', 'sent', 'pending') AND state = 'queued' AND reason IS NULL
    AND (%(search)s::text IS NULL OR search_id = %(search)s)
  LIMIT 1000 FOR UPDATE SKIP LOCKED)
"""
# No policy changes this often, so all open legs may be looked through for it.
_LEFT_BEHIND: Final = """
SELECT transaction_id FROM search_leg
WHERE state IN ('queued', 'sent', 'pending') AND state = 'queued' AND partner <> ALL(%(partners)s)
ORDER BY transaction_id LIMIT 64
"""
_FORGET_WHY: Final = """
UPDATE search_leg SET reason = NULL WHERE transaction_id IN (
  SELECT transaction_id FROM search_leg WHERE partner = %(partner)s
    AND state IN ('queued', 'sent', 'pending') AND state = 'queued' AND reason = %(why)s
  FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A leg that this worker looks after."""

    transaction_id: TransactionId
    search_id: SearchId
    partner: PartnerId


async def due_partners(
    tx: Transaction, partners: Sequence[PartnerId], search: SearchId | None
) -> tuple[PartnerId, ...]:
    """Those of *partners* with a leg (of that search) that is due and that nobody looks after."""
    rows = await tx.rows(_DUE, {"partners": list(partners), "search": search})
    return tuple(PartnerId(row.partner) for row in rows)


async def in_flight(tx: Transaction, partners: Sequence[PartnerId], now: datetime) -> Mapping[str, int]:
    """How many legs of each partner are being looked after, by anybody."""
    rows = await tx.rows(_IN_FLIGHT, {"partners": list(partners), "now": now})
    return {row.partner: row.legs for row in rows}


async def take(
    tx: Transaction, partner: PartnerId, room: int, now: datetime, search: SearchId | None
) -> tuple[Lease, ...]:
    """At most *room* legs that are due, the longest due first. The caller holds the partner's line."""
    values = {"partner": partner, "room": room, "now": now, "until": now + LEASE, "search": search}
    rows = await tx.rows(_TAKE, values)
    return tuple(Lease(TransactionId(row.transaction_id), SearchId(row.search_id), partner) for row in rows)


async def renew(tx: Transaction, legs: Collection[TransactionId]) -> frozenset[TransactionId]:
    """Say that these are still looked after; those among them that somebody has ended."""
    values = {"legs": sorted(legs), "lease": LEASE}
    await tx.write(_RENEW, values)
    return frozenset(TransactionId(row.transaction_id) for row in await tx.rows(_ENDED, values))


async def let_go(tx: Transaction, leg: TransactionId, after: timedelta, why: str | None = None) -> None:
    """Leave an open leg until it is due again."""
    await tx.write(_LET_GO, {"leg": leg, "after": after, "why": why})


async def say_why(tx: Transaction, partners: Sequence[PartnerId], search: SearchId | None, why: str) -> None:
    """Note on legs that were never sent why they still wait."""
    await tx.write(_SAY_WHY, {"partners": list(partners), "search": search, "why": why})


async def forget_why(tx: Transaction, partner: PartnerId, why: str) -> None:
    """Take it back from legs of *partner* that were never sent, as it is so no more."""
    await tx.write(_FORGET_WHY, {"partner": partner, "why": why})


async def left_behind(tx: Transaction, partners: Sequence[PartnerId]) -> tuple[TransactionId, ...]:
    """Some legs that were never sent, and whose partner is none of these."""
    rows = await tx.rows(_LEFT_BEHIND, {"partners": list(partners)})
    return tuple(TransactionId(row.transaction_id) for row in rows)
