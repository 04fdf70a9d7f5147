"""The terms of a lift: an owner needs to be asked no more about exactly one item. Pure."""

import hashlib
from datetime import UTC, datetime
from typing import Final

from broker.grants.model import Evidence, Scope, Terms
from broker.kernel.ids import AgencyId, ItemId

_FOR_GOOD: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""A lift has no end but its revocation."""


def terms_of_lift(owner: AgencyId, item: ItemId, by: str, reason: str, now: datetime) -> Terms:
    """Nobody and nothing is named, so nothing is left out but civil enforcement, which always has to be named (R4)."""
    return Terms(
        owner=owner,
        recipients=(),
        include_components=False,
        action=None,
        purposes=(),
        include_subpurposes=False,
        scope=Scope(items=(item,)),
        fields=None,
        valid_from=now,
        valid_until=_FOR_GOOD,
        max_uses=None,
        onward=True,
        caveats=(),
        # The officer's word given here is its own evidence.
        evidence=Evidence(reference=f"lifted by {by}"[:500], sha256=hashlib.sha256(reason.encode()).hexdigest()),
        lift=True,
    )
