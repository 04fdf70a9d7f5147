"""The blast radius of a grant: what it has let through, what may be waiting on it, and who would have to be told.

For its owner, before ending it, and for auditors. It names ids, recipients and times, and nothing of what was released.
"""

from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.audit.events import Actor
from broker.grants.service import GrantService
from broker.kernel.errors import NotFound
from broker.kernel.ids import AgencyId, GrantId, HeldReleaseId, ReleaseId
from broker.release.reliance import may_know
from broker.storage.unit_of_work import UnitOfWork

MOST_RECIPIENTS: Final = 200
"""There are no more agencies than that in one register; a person's name would be a list without end."""
_RELEASES: Final = """
SELECT r.id, r.at, r.component, r.recipient, d.person, d.address FROM release r
JOIN disclosure d ON d.release_id = r.id
WHERE r.grants @> ARRAY[%(grant)s::text] AND r.id > %(after)s ORDER BY r.id LIMIT %(limit)s
"""
_RECIPIENTS: Final = """
SELECT recipient AS agency, count(*) AS releases, max(at) AS last FROM release
WHERE grants @> ARRAY[%(grant)s::text] GROUP BY recipient ORDER BY recipient LIMIT %(most)s
"""
# Those that lack other owners' permission and, as far as can be told from outside, not this owner's, thanks to it.
_HELD: Final = """
SELECT h.id, h.component, h.recipient, h.requested_at FROM held_release h JOIN permission_grant g ON g.id = %(grant)s
WHERE h.state = 'held' AND g.status = 'active' AND NOT h.owners @> ARRAY[g.owner::text] AND h.action = g.action
    AND (g.include_components OR h.recipient = ANY (g.recipients))
    AND (g.include_subpurposes OR h.purpose = ANY (g.purposes))
    AND (g.scope -> 'items' = '[]' OR g.scope -> 'items' ? h.item_id)
    AND (g.scope ->> 'case_id' IS NULL OR g.scope ->> 'case_id' = h.case_id)
    AND EXISTS (SELECT FROM item_marking m WHERE m.item_id = h.item_id AND m.owner = g.owner)
    AND h.id > %(after)s
ORDER BY h.id LIMIT %(limit)s
"""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Past(_Value):
    """A release that relied on the grant."""

    id: ReleaseId
    at: AwareDatetime
    component: AgencyId
    recipient: AgencyId
    person: str
    address: str


class Waiting(_Value):
    """A held release for which this owner's permission is there, and may be gone with the grant."""

    id: HeldReleaseId
    component: AgencyId
    recipient: AgencyId
    requested_at: AwareDatetime


class ToTell(_Value):
    """An agency that received something by it."""

    agency: AgencyId
    releases: int
    last: AwareDatetime


class Impact(_Value):
    """One page of what hangs on a grant. `recipients` are complete on every page."""

    grant: GrantId
    past: tuple[Past, ...]
    waiting: tuple[Waiting, ...]
    recipients: tuple[ToTell, ...]


class ImpactService:
    """Looks, and changes nothing."""

    def __init__(self, work: UnitOfWork, grants: GrantService) -> None:
        self._work = work
        self._grants = grants

    async def of(self, actor: Actor, grant_id: str, after_release: str, after_held: str, limit: int) -> Impact:
        """What hangs on a grant, for those who may see it; NotFound for others, as for one that is not there."""
        grant = (await self._grants.read(actor, grant_id)).grant
        if not may_know(actor, grant):
            raise NotFound
        about: dict[str, Any] = {"grant": grant.id, "limit": limit}
        async with self._work.begin() as tx:
            past = await tx.rows(_RELEASES, about | {"after": after_release})
            waiting = await tx.rows(_HELD, about | {"after": after_held})
            told = await tx.rows(_RECIPIENTS, {"grant": grant.id, "most": MOST_RECIPIENTS})
        return Impact(
            grant=grant.id,
            past=tuple(Past(**row._asdict()) for row in past),
            waiting=tuple(Waiting(**row._asdict()) for row in waiting),
            recipients=tuple(ToTell(**row._asdict()) for row in told),
        )
