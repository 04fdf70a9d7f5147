"""Who may know of what a partner said of a participant: of the component that asked, whoever is enrolled for it (ADR 0019).

It comes before every other question. Other agencies come to such an item by its owner's permission alone, which is the
gate's matter.
"""

from broker.audit.events import Actor
from broker.items.model import Item
from broker.participants.repository import ever_enrolled
from broker.policy.snapshot import PolicySnapshot
from broker.storage.unit_of_work import Transaction


async def may_know(tx: Transaction, actor: Actor, item: Item, policy: PolicySnapshot | None) -> bool:
    """Whether the actor may know that there is such an item at all.

    A marking goes into everything that is made of an item, so what it says is true of those as well.
    """
    if actor.kind == "service":
        return True  # It goes on with what somebody has asked who might.
    asked = {one.source_system for one in item.lineage.markings if one.asked_by == actor.agency}
    strange = {system for system in asked if system is not None and system not in actor.enrolled}
    if not strange:
        return True
    if (
        policy is None
    ):  # Which of them verify participants cannot be told; those with none enrolled can have said nothing of any.
        return not await ever_enrolled(tx, strange)
    register = {entry.id: entry for entry in policy.bundle.partners}
    if any(entry.participation is not None for system, entry in register.items() if system in strange):
        return False
    # What a partner said does not become free by its leaving the register.
    gone = strange - register.keys()
    return not (gone and await ever_enrolled(tx, gone))
