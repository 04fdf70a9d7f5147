"""How grants end: revoked, superseded by another one, or entered in error. When the answer is there, it is over.

Each takes two steps. From the first on no new decision finds the grant, so those that hold it run out; without it new
ones could join the shared lock for as long as a requester keeps asking, and the owner would wait for all of them. The
second waits for those and ends the grant. Stopped in between, the grant permits nothing, and the call can be repeated.
"""

from broker.audit.events import (
    Actor,
    GrantEnteredInError,
    GrantErrorBegun,
    GrantRevocationBegun,
    GrantRevoked,
    GrantSuperseded,
    GrantSupersessionBegun,
)
from broker.audit.recorder import record
from broker.grants import acting, history, repository
from broker.grants.model import Change, Grant, GrantStatus, Terms
from broker.grants.service import GrantService
from broker.kernel.errors import Conflict, Invalid, NotFound
from broker.kernel.tree import Tree
from broker.policy.snapshot import PolicySnapshot
from broker.storage.unit_of_work import Transaction


class GrantEndings:
    """The use cases that take a permission away."""

    def __init__(self, grants: GrantService) -> None:
        self._grants = grants

    async def revoke(self, actor: Actor, grant_id: str, reason: str, agencies: Tree) -> Grant:
        """End a grant. When this has returned, nothing that commits later relies on it. Twice is once."""
        async with self._grants.act(actor, "revoke") as tx:
            seen = await acting.may_end(tx, actor, grant_id, agencies)
            if _over(seen, GrantStatus.REVOKED):
                return seen
            await repository.hide(tx, seen.id)
            await record(tx, GrantRevocationBegun(actor=actor, grant_id=seen.id, owner=seen.terms.owner))
        async with self._grants.act(actor, "revoke") as tx:
            grant = await _held(tx, grant_id)
            if _over(grant, GrantStatus.REVOKED):
                return grant
            now = await tx.clock()
            await repository.revoke(tx, grant.id, actor.sub, now, reason)
            await history.note(tx, grant.id, Change.REVOKED, actor.sub, now, reason)
            await record(tx, GrantRevoked(actor=actor, grant_id=grant.id, owner=grant.terms.owner, reason=reason))
        return grant.model_copy(update={"status": GrantStatus.REVOKED, "revoked_at": now, "revocation_reason": reason})

    async def supersede(self, actor: Actor, grant_id: str, terms: Terms, policy: PolicySnapshot) -> Grant:
        """Put a grant with these terms in the place of another of the same owner; the new one.

        The old one stops at once, even where the new one still waits for a second person: that is the narrower
        reading. What would speak against the new one is looked for before the old one is touched.
        """
        async with self._grants.act(actor, "supersede") as tx:
            seen = await acting.may_end(tx, actor, grant_id, policy.bundle.agencies)
            _check_replaces(seen, terms)
            await self._grants.check_within(tx, actor, terms, policy, await tx.clock())
            await repository.hide(tx, seen.id)
            await record(tx, GrantSupersessionBegun(actor=actor, grant_id=seen.id, owner=seen.terms.owner))
        async with self._grants.act(actor, "supersede") as tx:
            old = await _held(tx, grant_id)
            _check_replaces(old, terms)
            now = await tx.clock()
            new = await self._grants.record_within(tx, actor, terms, policy, now, supersedes=old.id)
            await repository.supersede(tx, old.id, new.id)
            await history.note(tx, old.id, Change.SUPERSEDED, actor.sub, now)
            event = GrantSuperseded(actor=actor, grant_id=old.id, successor_id=new.id, owner=terms.owner)
            await record(tx, event)
        return new

    async def enter_in_error(self, actor: Actor, grant_id: str, reason: str, agencies: Tree) -> Grant:
        """End a grant and say that it never was a permission, even if it has ended otherwise before. Twice is once."""
        async with self._grants.act(actor, "entered_in_error") as tx:
            seen = await acting.may_end(tx, actor, grant_id, agencies)
            if seen.status is GrantStatus.ENTERED_IN_ERROR:
                return seen
            await repository.hide(tx, seen.id)
            await record(tx, GrantErrorBegun(actor=actor, grant_id=seen.id, owner=seen.terms.owner))
        async with self._grants.act(actor, "entered_in_error") as tx:
            grant = await _held(tx, grant_id)
            if grant.status is GrantStatus.ENTERED_IN_ERROR:
                return grant
            await repository.set_status(tx, grant.id, GrantStatus.ENTERED_IN_ERROR)
            await history.note(tx, grant.id, Change.ENTERED_IN_ERROR, actor.sub, await tx.clock(), reason)
            event = GrantEnteredInError(actor=actor, grant_id=grant.id, owner=grant.terms.owner, reason=reason)
            await record(tx, event)
        return grant.model_copy(update={"status": GrantStatus.ENTERED_IN_ERROR})


async def _held(tx: Transaction, grant_id: str) -> Grant:
    grant = await repository.hold_for_change(tx, grant_id)
    if grant is None:
        raise NotFound
    return grant


def _over(grant: Grant, ending: GrantStatus) -> bool:
    """Whether it has ended in this way already; Conflict where it has ended in another."""
    if grant.status.ended and grant.status is not ending:
        raise Conflict(f"the grant is {grant.status} already; it permits nothing")
    return grant.status is ending


def _check_replaces(old: Grant, terms: Terms) -> None:
    if terms.owner != old.terms.owner:
        raise Invalid("a grant is superseded by one of the same owner", "/owner")
    if old.status.ended:
        raise Conflict(f"the grant is {old.status} already; record a new one")
