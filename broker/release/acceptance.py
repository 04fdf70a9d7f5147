"""The recipient accepts the caveats of a copy before its content is shown (R14, 28 CFR 23.20(e)(1)).

It accepts all of them or none: whoever leaves one out has not read what they would be held to. One acceptance binds
the agency, and the record names the person who gave it. The side that made the copy needs none.
"""

from collections.abc import Collection
from dataclasses import dataclass

from broker.audit.events import Actor, CaveatsAccepted
from broker.audit.recorder import record
from broker.kernel.errors import Invalid, NotFound
from broker.kernel.ids import AgencyId, Subject
from broker.release.model import Acceptance, Release
from broker.release.repository import ReleaseRepository
from broker.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """The copy is there and would be handed out, but its caveats were not accepted. It is on record."""

    release: Release


class AcceptanceService:
    """Takes acceptances."""

    def __init__(self, work: UnitOfWork, releases: ReleaseRepository) -> None:
        self._work = work
        self._releases = releases

    async def accept(self, actor: Actor, release_id: str, caveats: Collection[str]) -> Release:
        """Accept the caveats of a copy that the actor's agency was given. Accepted again, it stays as it was."""
        async with self._work.begin() as tx:
            release = await self._releases.read(tx, release_id)
            if release is None or release.request.recipient.agency != actor.agency:
                raise NotFound
            if set(caveats) != set(release.caveats):
                raise Invalid("name every caveat of the copy, as its record lists them, and no other", "/caveats")
            acceptance = Acceptance(by=Subject(actor.sub), agency=AgencyId(actor.agency), at=await tx.clock())
            if await self._releases.accept(tx, release, acceptance):
                event = CaveatsAccepted(actor=actor, release_id=release.id, caveats=tuple(sorted(release.caveats)))
                await record(tx, event)
                return release.model_copy(update={"acceptance": acceptance})
            # Somebody of the agency was first, perhaps a moment ago.
            accepted = await self._releases.read(tx, release_id)
        if accepted is None:
            raise NotFound
        return accepted
