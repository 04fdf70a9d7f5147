"""Who may see a recorded grant, and act on it: asked of the register, never of the caller."""

from broker.audit.events import Actor
from broker.grants import repository
from broker.grants.model import Grant, Scope
from broker.grants.recording import Standing, standing_of
from broker.items.ownership import custodian_in_case, sides_of
from broker.kernel.errors import NotFound
from broker.kernel.ids import AgencyId
from broker.kernel.tree import Tree
from broker.kernel.words import Role
from broker.storage.unit_of_work import Transaction


def may_see(actor: Actor, grant: Grant) -> bool:
    """The owner's officers, the liaisons of the agency that recorded it, and auditors."""
    return (
        Role.AUDITOR.value in actor.roles
        or (Role.RELEASE_OFFICER.value in actor.roles and actor.agency == grant.terms.owner)
        or (Role.LIAISON.value in actor.roles and actor.agency == grant.recorded_agency)
    )


async def seen(tx: Transaction, actor: Actor, grant_id: str) -> Grant:
    """A grant that the actor may see, without a lock; NotFound otherwise."""
    found = await repository.fetch(tx, (grant_id,))
    if not found or not may_see(actor, found[0]):
        raise NotFound
    return found[0]


async def may_end(tx: Transaction, actor: Actor, grant_id: str, agencies: Tree) -> Grant:
    """A grant that the actor may end, without a lock; Forbidden where they may only see it."""
    grant = await seen(tx, actor, grant_id)
    sides = await custodians(tx, grant.terms.scope, grant.terms.owner)
    standing_of(actor, grant.terms, sides, agencies, ending=True)
    return grant


async def held(tx: Transaction, actor: Actor, grant_id: str, agencies: Tree) -> tuple[Grant, Standing]:
    """A grant on which the actor may act, held for change, and in which capacity."""
    grant = await repository.hold_for_change(tx, grant_id)
    if grant is None or not may_see(actor, grant):
        raise NotFound
    sides = await custodians(tx, grant.terms.scope, grant.terms.owner)
    return grant, standing_of(actor, grant.terms, sides, agencies)


async def custodians(tx: Transaction, scope: Scope, owner: AgencyId) -> tuple[AgencyId, ...]:
    """The components that hold what the scope names, or asked for it.

    NotFound where the owner has no part, as if it did not exist.
    """
    found = [await sides_of(tx, item, owner) for item in scope.items]
    if scope.case_id is not None:
        in_case = await custodian_in_case(tx, scope.case_id, owner)
        found.append(frozenset() if in_case is None else frozenset({in_case}))
    if not all(found):
        raise NotFound
    return tuple(sorted(frozenset[AgencyId]().union(*found)))
