"""The register of permission: recording, confirming, revoking and reading grants."""

from datetime import datetime

from broker.audit.events import Actor, GrantConfirmed, GrantRecorded, GrantRevocationBegun, GrantRevoked
from broker.audit.recorder import record
from broker.grants import repository
from broker.grants.checking import check
from broker.grants.model import Grant, GrantStatus, Scope, Terms
from broker.grants.recording import Standing, check_second, first_status, standing_of
from broker.items.ownership import custodian_in_case, sides_of
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.errors import Conflict, NotFound
from broker.kernel.ids import AgencyId, GrantId, Subject, new_id
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
        async with self._work.begin() as tx:
            return await self.record_within(tx, actor, terms, policy, await tx.clock())

    async def record_within(
        self, tx: Transaction, actor: Actor, terms: Terms, policy: PolicySnapshot, now: datetime
    ) -> Grant:
        """The same in the caller's transaction, for an answer that grants."""
        bundle = policy.bundle
        systems = {entry.id for entry in bundle.partners}
        check(terms, bundle.agencies, bundle.purposes, bundle.caveats, systems, now)
        # Who cannot speak for the owner learns nothing about the items: capacity first, without custodians.
        standing_of(actor, terms, (), bundle.agencies)
        custodians = await _custodians(tx, terms.scope, terms.owner)
        standing = standing_of(actor, terms, custodians, bundle.agencies)
        grant = Grant(
            id=GrantId(new_id("gra")),
            terms=terms,
            status=first_status(standing, terms),
            uses=0,
            recorded_by=Subject(actor.sub),
            recorded_agency=AgencyId(actor.agency),
            recorded_at=now,
            confirmed_by=None,
            revoked_at=None,
            revocation_reason=None,
        )
        await repository.file(tx, grant)
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

    async def confirm(self, actor: Actor, grant_id: str, agencies: Tree) -> Grant:
        """The second person's word, which makes a pending grant active."""
        async with self._work.begin() as tx:
            grant, standing = await self._hold(tx, actor, grant_id, agencies)
            check_second(actor, grant, standing)
            if grant.status is not GrantStatus.PENDING:
                raise Conflict(f"the grant is {grant.status}; only a pending one is confirmed")
            now = await tx.clock()
            await repository.confirm(tx, grant.id, actor.sub, now)
            await record(tx, GrantConfirmed(actor=actor, grant_id=grant.id, owner=grant.terms.owner))
        return grant.model_copy(update={"status": GrantStatus.ACTIVE, "confirmed_by": Subject(actor.sub)})

    async def revoke(self, actor: Actor, grant_id: str, reason: str, agencies: Tree) -> Grant:
        """End a grant. When this has returned, nothing that commits later relies on it. Twice is once."""
        async with self._work.begin() as tx:
            seen = await self._authorise(tx, actor, grant_id, agencies)
            if seen.status is GrantStatus.REVOKED:
                return seen
            await repository.hide(tx, seen.id)
            await record(tx, GrantRevocationBegun(actor=actor, grant_id=seen.id, owner=seen.terms.owner))
        # From here on no new decision finds the grant, so those that hold it run out. Without that first step new ones
        # could join the shared lock for as long as a requester keeps asking, and the owner would wait for all of them.
        async with self._work.begin() as tx:
            grant = await repository.hold_for_change(tx, grant_id)
            if grant is None:
                raise NotFound
            if grant.status is GrantStatus.REVOKED:
                return grant
            now = await tx.clock()
            await repository.revoke(tx, grant.id, actor.sub, now, reason)
            await record(tx, GrantRevoked(actor=actor, grant_id=grant.id, owner=grant.terms.owner, reason=reason))
        return grant.model_copy(update={"status": GrantStatus.REVOKED, "revoked_at": now, "revocation_reason": reason})

    async def read(self, actor: Actor, grant_id: str) -> Grant:
        """One grant, for those who may see it."""
        async with self._work.begin() as tx:
            found = await repository.fetch(tx, (grant_id,))
        if not found or not _may_see(actor, found[0]):
            raise NotFound
        return found[0]

    async def page(self, actor: Actor, after: str, limit: int) -> list[Grant]:
        """Grants that the actor may see, in the order of their ids."""
        async with self._work.begin() as tx:
            if Role.AUDITOR.value in actor.roles:
                return await repository.page(tx, None, None, after, limit)
            if Role.RELEASE_OFFICER.value in actor.roles:
                return await repository.page(tx, actor.agency, None, after, limit)
            if Role.LIAISON.value in actor.roles:
                return await repository.page(tx, None, actor.agency, after, limit)
            return []

    async def _authorise(self, tx: Transaction, actor: Actor, grant_id: str, agencies: Tree) -> Grant:
        found = await repository.fetch(tx, (grant_id,))
        if not found or not _may_see(actor, found[0]):
            raise NotFound
        terms = found[0].terms
        standing_of(actor, terms, await _custodians(tx, terms.scope, terms.owner), agencies)
        return found[0]

    async def _hold(self, tx: Transaction, actor: Actor, grant_id: str, agencies: Tree) -> tuple[Grant, Standing]:
        grant = await repository.hold_for_change(tx, grant_id)
        if grant is None or not _may_see(actor, grant):
            raise NotFound
        custodians = await _custodians(tx, grant.terms.scope, grant.terms.owner)
        return grant, standing_of(actor, grant.terms, custodians, agencies)


async def _custodians(tx: Transaction, scope: Scope, owner: AgencyId) -> tuple[AgencyId, ...]:
    """The components that hold what the scope names, or asked for it.

    NotFound where the owner has no part, as if it did not exist.
    """
    found = [await sides_of(tx, item, owner) for item in scope.items]
    if scope.case_id is not None:
        held = await custodian_in_case(tx, scope.case_id, owner)
        found.append(frozenset() if held is None else frozenset({held}))
    if not all(found):
        raise NotFound
    return tuple(sorted(frozenset[AgencyId]().union(*found)))


def _may_see(actor: Actor, grant: Grant) -> bool:
    return (
        Role.AUDITOR.value in actor.roles
        or (Role.RELEASE_OFFICER.value in actor.roles and actor.agency == grant.terms.owner)
        or (Role.LIAISON.value in actor.roles and actor.agency == grant.recorded_agency)
    )
