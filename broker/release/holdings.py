"""Releases as holdings of their recipients, for the door: what was accepted, and was released to be had."""

from typing import Any, Final

from broker.decision.holding import Holding
from broker.kernel.ids import AgencyId, ItemId, ReleaseId
from broker.kernel.words import Action
from broker.storage.unit_of_work import Transaction

_HOLDING: Final = """
SELECT r.id, r.item_id, r.component, r.recipient, r.action, r.purpose, r.case_id, r.fields, r.hop, r.grants,
    d.purge_by
FROM release r JOIN disclosure d ON d.release_id = r.id
WHERE r.recipient = %(agency)s AND r.action = 'release'
    AND NOT EXISTS (SELECT FROM exigent_release x WHERE x.release_id = r.id)
    AND (r.caveats = '{}' OR EXISTS (SELECT FROM release_acceptance a WHERE a.release_id = r.id))
    AND (d.purge_by IS NULL OR clock_timestamp() < d.purge_by)
"""
# Some are enough: each is decided anew, and one that passes suffices. The newest of the shortest way come first.
_OF: Final = _HOLDING + " AND r.item_id = %(item)s ORDER BY r.hop, r.at DESC, r.id LIMIT 10"
_NAMED: Final = _HOLDING + " AND r.id = ANY (%(releases)s) ORDER BY r.id"


class ReleaseHoldings:
    """Reads in the caller's transaction. A release is written once, so that its row needs no lock."""

    async def of(self, tx: Transaction, agency: AgencyId, item_id: ItemId) -> tuple[Holding, ...]:
        """Some holdings of one item by one agency."""
        return tuple(_holding(row) for row in await tx.rows(_OF, {"agency": agency, "item": item_id}))

    async def named(self, tx: Transaction, agency: AgencyId, releases: tuple[ReleaseId, ...]) -> tuple[Holding, ...]:
        """Those of these releases that are holdings of that agency."""
        return tuple(_holding(row) for row in await tx.rows(_NAMED, {"agency": agency, "releases": list(releases)}))


def _holding(row: Any) -> Holding:
    return Holding(
        release=row.id,
        item=row.item_id,
        component=row.component,
        recipient=row.recipient,
        action=Action(row.action),
        purpose=row.purpose,
        case_id=row.case_id,
        fields=None if row.fields is None else tuple(row.fields),
        hop=row.hop,
        grants=tuple(row.grants),
        purge_by=row.purge_by,
    )
