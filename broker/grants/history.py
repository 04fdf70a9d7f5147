"""What was done to grants, step by step: for owners to read, beside the audit, which is everybody's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from broker.grants.model import Change, Step
from broker.kernel.ids import GrantId, Subject
from broker.storage.unit_of_work import Transaction

_NOTE: Final = """
INSERT INTO grant_step (grant_id, number, change, at, by, reason)
SELECT %(grant)s::text, coalesce(max(number), 0) + 1, %(change)s::text, %(at)s::timestamptz, %(by)s::text,
    %(reason)s::text
FROM grant_step WHERE grant_id = %(grant)s::text
"""
_OF: Final = (
    "SELECT grant_id, change, at, by, reason FROM grant_step WHERE grant_id = ANY(%s) ORDER BY grant_id, number"
)


async def note(
    tx: Transaction, grant: GrantId, change: Change, by: str, at: datetime, reason: str | None = None
) -> None:
    """Write down a step. The grant is held by the caller, or was made in this very transaction."""
    values = {"grant": grant, "change": change.value, "at": at, "by": by, "reason": reason}
    await tx.write(_NOTE, values)


async def of(tx: Transaction, grants: Sequence[GrantId]) -> Mapping[str, tuple[Step, ...]]:
    """The steps of each of these grants, in order."""
    found: dict[str, list[Step]] = {grant: [] for grant in grants}
    for row in await tx.rows(_OF, (list(grants),)):
        step = Step(change=Change(row.change), at=row.at, by=Subject(row.by), reason=row.reason)
        found[row.grant_id].append(step)
    return {grant: tuple(steps) for grant, steps in found.items()}
