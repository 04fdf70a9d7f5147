"""Owners' answers to exigent releases, afterwards: each ratifies or refuses for itself. A refusal takes the copy back."""

from typing import Protocol

from broker.audit.events import Actor, ExigentAnswered, ExigentRead
from broker.audit.recorder import record
from broker.audit.refusals import on_record
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.errors import Conflict, Forbidden, NotFound
from broker.kernel.ids import AgencyId
from broker.kernel.words import Role
from broker.release.exigent import repository as rows
from broker.release.exigent.model import ExigentRelease, OwnerState
from broker.storage.unit_of_work import Transaction, UnitOfWork


class CopyRecall(Protocol):
    """Tells the recipient of one copy that its owner takes it back. Recall is above this stage, so it comes by a port."""

    async def recall_copy(self, tx: Transaction, actor: Actor, release: ExigentRelease, text: str) -> None:
        """Write the notice in the transaction of the refusal."""
        ...


class RatificationService:
    """The use cases of owners after an exigent release."""

    def __init__(self, work: UnitOfWork, recall: CopyRecall) -> None:
        self._work = work
        self._recall = recall

    async def answer(self, actor: Actor, release_id: str, state: OwnerState, note: str | None) -> ExigentRelease:
        """The word of an owner's officer: ratified, while the copy may still be had; or refused."""
        async with on_record(self._work, actor, "release:ratify") as tx:
            release = await rows.hold(tx, release_id)
            part = release.part_of(actor.agency) if release is not None else None
            if release is None or part is None:
                raise NotFound
            if actor.sub == release.requested_by:
                raise Forbidden("the one who asked for a release does not answer for its owner")
            if part.state is not OwnerState.SILENT:
                raise Conflict(f"this part is {part.state} already")
            now = await tx.clock()
            if state is OwnerState.RATIFIED and not now < release.until:
                raise Conflict("the copy has ended; a permission for a new release is a grant")
            said = {"state": state.value, "answered_by": actor.sub, "answered_at": now, "note": note}
            await rows.change(tx, release.id, part.owner, **said)
            await record(tx, ExigentAnswered(actor=actor, release_id=release.id, owner=part.owner, outcome=state.value))
            if state is OwnerState.REFUSED:
                await self._recall.recall_copy(tx, actor, release, note or "The owner has refused an exigent release.")
            about = {"release": release.id}
            await post(tx, Message(to=release.component, subject=Happened.EXIGENT_RELEASE_ENDED, about=about, at=now))
            answered = await rows.read(tx, release_id)
        if answered is None:
            raise NotFound
        return _as_seen_by(actor, answered)

    async def page(self, actor: Actor, after: str, limit: int) -> list[ExigentRelease]:
        """Exigent releases that the actor may see. An owner's officer who is shown one has read it, which is noted."""
        auditor, officer = Role.AUDITOR.value in actor.roles, Role.RELEASE_OFFICER.value in actor.roles
        owner = actor.agency if officer and not auditor else None
        component = None if auditor or officer else actor.agency
        async with self._work.begin() as tx:
            found = await rows.page(tx, owner, component, after, limit)
            if owner is not None:
                for release in found:
                    await self._note_read(tx, actor, release)
        return [_as_seen_by(actor, one) for one in found]

    async def _note_read(self, tx: Transaction, actor: Actor, release: ExigentRelease) -> None:
        part = release.part_of(actor.agency)
        if part is not None and part.read_at is None:
            await rows.change(tx, release.id, AgencyId(actor.agency), read_at=await tx.clock())
            await record(tx, ExigentRead(actor=actor, release_id=release.id, owner=actor.agency))


def _as_seen_by(actor: Actor, release: ExigentRelease) -> ExigentRelease:
    """An owner sees its own part: whose else's information it was is the others'."""
    if Role.AUDITOR.value in actor.roles or Role.RELEASE_OFFICER.value not in actor.roles:
        return release
    return release.model_copy(update={"parts": tuple(one for one in release.parts if one.owner == actor.agency)})
