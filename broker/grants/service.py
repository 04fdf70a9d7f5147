"""The register of permission: recording, confirming and reading grants. How they end is in ``broker.grants.ending``."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from broker.audit.events import Actor, GrantConfirmed, GrantRecorded, GrantRevoked
from broker.audit.recorder import record
from broker.audit.refusals import on_record
from broker.grants import acting, history, repository
from broker.grants.checking import check
from broker.grants.coverage import Trees, reach
from broker.grants.lifting import terms_of_lift
from broker.grants.model import Change, Entry, Grant, GrantStatus, Terms
from broker.grants.recording import check_second, first_status, standing_of
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.errors import Conflict
from broker.kernel.ids import AgencyId, GrantId, ItemId, Subject, new_id
from broker.kernel.tree import Tree
from broker.kernel.words import Role
from broker.policy.snapshot import PolicySnapshot
from broker.storage.unit_of_work import Transaction, UnitOfWork


class GrantService:
    """The use cases of the register. It decides nothing about items; it keeps what owners have decided."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    async def record(self, actor: Actor, terms: Terms, policy: PolicySnapshot) -> Grant:
        """Record what an owner permits.

        Raises Invalid for words that are not in the register, Forbidden for somebody who cannot speak for this
        owner, NotFound when the owner has no part in an item or case that the scope names.
        """
        async with self.act(actor, "record") as tx:
            return await self.record_within(tx, actor, terms, policy, await tx.clock())

    async def record_within(
        self,
        tx: Transaction,
        actor: Actor,
        terms: Terms,
        policy: PolicySnapshot,
        now: datetime,
        supersedes: GrantId | None = None,
    ) -> Grant:
        """The same in the caller's transaction, for an answer that grants and for a grant in another one's place."""
        status = await self.check_within(tx, actor, terms, policy, now)
        return await self._file(tx, actor, terms, status, policy, now, supersedes=supersedes)

    async def check_within(
        self, tx: Transaction, actor: Actor, terms: Terms, policy: PolicySnapshot, now: datetime
    ) -> GrantStatus:
        """Everything that would speak against recording it, and the status that it would begin with."""
        bundle = policy.bundle
        systems = {entry.id for entry in bundle.partners}
        check(terms, bundle.agencies, bundle.purposes, bundle.caveats, systems, now)
        # Who cannot speak for the owner learns nothing about the items: capacity first, without custodians.
        standing_of(actor, terms, (), bundle.agencies)
        sides = await acting.custodians(tx, terms.scope, terms.owner)
        return first_status(standing_of(actor, terms, sides, bundle.agencies), terms)

    async def lift(self, actor: Actor, item: str, reason: str, policy: PolicySnapshot) -> Grant:
        """Record that the actor's agency needs to be asked no more about exactly this item; a second officer confirms.

        NotFound where the agency has no part in it. The marking stays in the item and in all that is made of it.
        """
        async with self.act(actor, "lift") as tx:
            now = await tx.clock()
            terms = terms_of_lift(AgencyId(actor.agency), ItemId(item), actor.sub, reason, now)
            standing = standing_of(actor, terms, (), policy.bundle.agencies)
            await acting.custodians(tx, terms.scope, terms.owner)
            return await self._file(tx, actor, terms, first_status(standing, terms), policy, now, reason=reason)

    async def confirm(self, actor: Actor, grant_id: str, agencies: Tree) -> Grant:
        """The second person's word, which makes a pending grant active."""
        async with self.act(actor, "confirm") as tx:
            return await self.confirm_within(tx, actor, grant_id, agencies)

    async def confirm_within(self, tx: Transaction, actor: Actor, grant_id: str, agencies: Tree) -> Grant:
        """The same in the caller's transaction."""
        grant, standing = await acting.held(tx, actor, grant_id, agencies)
        check_second(actor, grant, standing)
        if grant.status is not GrantStatus.PENDING:
            raise Conflict(f"the grant is {grant.status}; only a pending one is confirmed")
        now = await tx.clock()
        await repository.confirm(tx, grant.id, actor.sub, now)
        await history.note(tx, grant.id, Change.CONFIRMED, actor.sub, now)
        await record(tx, GrantConfirmed(actor=actor, grant_id=grant.id, owner=grant.terms.owner))
        return grant.model_copy(update={"status": GrantStatus.ACTIVE, "confirmed_by": Subject(actor.sub)})

    async def drop_pending(self, tx: Transaction, actor: Actor, grant_id: GrantId, reason: str) -> None:
        """End a grant that nobody has confirmed, as something else was said in its place. One that is not pending stays."""
        grant = await repository.hold_for_change(tx, grant_id)
        if grant is None or grant.status is not GrantStatus.PENDING:
            return
        now = await tx.clock()
        await repository.revoke(tx, grant.id, actor.sub, now, reason)
        await history.note(tx, grant.id, Change.REVOKED, actor.sub, now, reason)
        await record(tx, GrantRevoked(actor=actor, grant_id=grant.id, owner=grant.terms.owner, reason=reason))

    async def read(self, actor: Actor, grant_id: str) -> Entry:
        """One grant, for those who may see it."""
        async with self._work.begin() as tx:
            [entry] = await _entries(tx, [await acting.seen(tx, actor, grant_id)])
        return entry

    async def entry(self, grant: Grant) -> Entry:
        """How a grant that was just recorded or changed stands now."""
        async with self._work.begin() as tx:
            [entry] = await _entries(tx, await repository.fetch(tx, (grant.id,)))
        return entry

    async def page(self, actor: Actor, after: str, limit: int) -> list[Entry]:
        """Grants that the actor may see, in the order of their ids."""
        async with self._work.begin() as tx:
            if Role.AUDITOR.value in actor.roles:
                found = await repository.page(tx, None, None, after, limit)
            elif Role.RELEASE_OFFICER.value in actor.roles:
                found = await repository.page(tx, actor.agency, None, after, limit)
            elif Role.LIAISON.value in actor.roles:
                found = await repository.page(tx, None, actor.agency, after, limit)
            else:
                found = []
            return await _entries(tx, found)

    @asynccontextmanager
    async def act(self, actor: Actor, what: str) -> AsyncIterator[Transaction]:
        """The transaction of an act on the register. A refusal undoes it, and is then recorded by itself."""
        async with on_record(self._work, actor, f"grant:{what}") as tx:
            yield tx

    async def _file(
        self,
        tx: Transaction,
        actor: Actor,
        terms: Terms,
        status: GrantStatus,
        policy: PolicySnapshot,
        now: datetime,
        *,
        supersedes: GrantId | None = None,
        reason: str | None = None,
    ) -> Grant:
        bundle = policy.bundle
        grant = Grant(
            id=GrantId(new_id("gra")),
            terms=terms,
            reach=reach(terms, Trees(bundle.agencies, bundle.purposes, bundle.civil_purposes)),
            status=status,
            uses=0,
            recorded_by=Subject(actor.sub),
            recorded_agency=AgencyId(actor.agency),
            recorded_at=now,
            confirmed_by=None,
            revoked_at=None,
            revocation_reason=None,
            supersedes=supersedes,
        )
        await repository.file(tx, grant)
        await history.note(tx, grant.id, Change.RECORDED, actor.sub, now, reason)
        if actor.agency != terms.owner:
            # An owner is told of what somebody else has recorded for it.
            about = {"grant": grant.id}
            await post(tx, Message(to=terms.owner, subject=Happened.GRANT_RECORDED, about=about, at=now))
        await record(
            tx,
            GrantRecorded(
                actor=actor,
                grant_id=grant.id,
                owner=terms.owner,
                status=grant.status.value,
                evidence_sha256=terms.evidence.sha256,
            ),
        )
        return grant


async def _entries(tx: Transaction, grants: Sequence[Grant]) -> list[Entry]:
    now, steps = await tx.clock(), await history.of(tx, [grant.id for grant in grants])
    return [Entry(grant=grant, state=grant.state(now), history=steps[grant.id]) for grant in grants]
