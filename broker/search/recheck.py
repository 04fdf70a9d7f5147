"""The rules asked once more before each call of a leg, under what is so then: policy, day, agreement, case, participant."""

from typing import Protocol

from broker.cases.service import find as find_case
from broker.participants.repository import find as find_participant
from broker.policy.snapshot import PolicySnapshot
from broker.search.model import Leg, Search
from broker.search.rules import Refusals, refusals_before_sending
from broker.storage.unit_of_work import Transaction


class PolicyInForce(Protocol):
    """Hands out the policy that the database says is in force, or None when this process cannot have it."""

    async def unlocked(self, tx: Transaction) -> PolicySnapshot | None:
        """The snapshot, without a lock: a leg that goes out while a policy is activated was accepted before it."""
        ...


class Recheck:
    """Asked about every call that carries the probe."""

    def __init__(self, policies: PolicyInForce) -> None:
        self._policies = policies

    async def refusals(self, tx: Transaction, search: Search, leg: Leg) -> Refusals | None:
        """What speaks against sending the leg now; None when the policy in force cannot be had, so nobody can say."""
        policy = await self._policies.unlocked(tx)
        if policy is None:
            return None
        case = await find_case(tx, search.component, search.terms.case_id)
        named = search.terms.participant
        participant = await find_participant(tx, search.component, named) if named else None
        status = None if case is None else case.status
        return refusals_before_sending(search, leg.partner, status, participant, policy, await tx.clock())
