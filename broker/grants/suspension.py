"""Grants that rest while their owner has announced something about an item they name, and hold again afterwards."""

from collections.abc import Sequence

from broker.audit.events import Actor, GrantResumed, GrantSuspended
from broker.audit.recorder import record
from broker.grants import history, repository
from broker.grants.model import Change, Grant, GrantStatus
from broker.kernel.ids import AgencyId, ItemId
from broker.storage.unit_of_work import Transaction


async def suspend(tx: Transaction, actor: Actor, owner: AgencyId, items: Sequence[ItemId]) -> int:
    """Suspend the owner's active grants that name one of *items*; how many there were.

    The caller holds the items FOR UPDATE, so that no decision is under way which relies on one of these grants.
    """
    grants = await repository.hold_naming(tx, owner, items, GrantStatus.ACTIVE)
    for grant in grants:
        await repository.set_status(tx, grant.id, GrantStatus.SUSPENDED)
        await history.note(tx, grant.id, Change.SUSPENDED, actor.sub, await tx.clock())
        await record(tx, GrantSuspended(actor=actor, grant_id=grant.id, owner=owner))
    return len(grants)


async def suspended(tx: Transaction, owner: AgencyId, items: Sequence[ItemId]) -> tuple[Grant, ...]:
    """The owner's suspended grants that name one of *items*, held for change."""
    return await repository.hold_naming(tx, owner, items, GrantStatus.SUSPENDED)


async def resume(tx: Transaction, actor: Actor, grant: Grant) -> None:
    """Let a suspended grant hold again. The caller has seen that nothing stands against any item it names."""
    await repository.set_status(tx, grant.id, GrantStatus.ACTIVE)
    await history.note(tx, grant.id, Change.RESUMED, actor.sub, await tx.clock())
    await record(tx, GrantResumed(actor=actor, grant_id=grant.id, owner=grant.terms.owner))
