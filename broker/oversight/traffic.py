"""What waits in the service at this moment, by partner and by agency: for those who run it. It reads and counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.storage.unit_of_work import UnitOfWork

_OPEN: Final = """
SELECT partner, state, count(*) AS legs FROM search_leg
WHERE state IN ('queued', 'sent', 'pending') GROUP BY partner, state ORDER BY partner, state
"""
_OLDEST: Final = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8 AS seconds FROM search_leg
WHERE state IN ('queued', 'sent', 'pending') AND due_at < clock_timestamp()
  AND (leased_until IS NULL OR leased_until < clock_timestamp())
"""
_UNDELIVERED: Final = """
SELECT recipient, count(*) AS messages FROM notification WHERE delivered_at IS NULL
GROUP BY recipient ORDER BY recipient
"""
_UNSEQUENCED: Final = """
WITH last AS (SELECT l.xact, l.entry_id FROM audit_leaf l ORDER BY l.index DESC LIMIT 1)
SELECT coalesce((
  SELECT extract(epoch FROM clock_timestamp() - e.at) FROM audit_entry e
  WHERE (e.xact, e.id) > (coalesce((SELECT xact FROM last), '0'::xid8), coalesce((SELECT entry_id FROM last), 0))
  ORDER BY e.xact, e.id LIMIT 1), 0)::float8 AS seconds
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Counts of what waits."""

    legs: Mapping[tuple[str, str], int]
    """Open legs by partner and state."""
    oldest_due_seconds: float
    """For how long the longest due leg has been waiting for a worker; much more than a second is too long."""
    undelivered: Mapping[str, int]
    """Messages by the agency that they are for."""
    unsequenced_seconds: float
    """How long the oldest entry of the log without a signed checkpoint has been waiting; 0 while there is none."""


class Traffic:
    """Asks the tables; each question is an index's, and its answer small."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    async def waiting(self) -> Waiting:
        """What waits now."""
        async with self._work.begin() as tx:
            legs = await tx.rows(_OPEN)
            oldest = await tx.rows(_OLDEST)
            undelivered = await tx.rows(_UNDELIVERED)
            unsequenced = await tx.rows(_UNSEQUENCED)
        return Waiting(
            legs={(row.partner, row.state): row.legs for row in legs},
            oldest_due_seconds=oldest[0].seconds,
            undelivered={row.recipient: row.messages for row in undelivered},
            unsequenced_seconds=unsequenced[0].seconds,
        )
