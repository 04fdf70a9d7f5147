"""Reads what the gate needs, in a fixed order of locks: policy in force, item, grants; then the clock.

Locks of one kind are taken in ascending id, and always in this order, so that decisions, revocations and recalls
wait for one another but never in a ring. The clock is read last: what expired while waiting has expired.
"""

from collections.abc import Iterable
from typing import Protocol

from broker.decision.gate import looks_from_outside, requests
from broker.decision.model import Facts, Question
from broker.grants import repository
from broker.grants.coverage import Request, Trees
from broker.grants.model import Grant
from broker.items.model import Source
from broker.items.reader import NO_GAPS, NOTHING_SAID, Confirmations, ItemReader, ReviewGaps, Stored
from broker.kernel.ids import AgencyId, GrantId, ItemId, ReleaseId
from broker.kernel.words import Action
from broker.policy import places
from broker.policy.snapshot import PolicySnapshot
from broker.storage.unit_of_work import Transaction


class PolicyInForce(Protocol):
    """Hands out the policy that the database says is in force, or None when this process cannot have it."""

    async def locked(self, tx: Transaction) -> PolicySnapshot | None:
        """The snapshot, its digest row held FOR SHARE: no other policy is activated before this commits."""
        ...

    async def unlocked(self, tx: Transaction) -> PolicySnapshot | None:
        """The same without a lock, for answers that promise nothing."""
        ...


class Loader:
    """Reads under lock, or without when nothing is promised."""

    def __init__(self, items: ItemReader, policies: PolicyInForce) -> None:
        self._items = items
        self._policies = policies

    async def policy(self, tx: Transaction, *, lock: bool) -> PolicySnapshot | None:
        """First lock: the policy in force."""
        return await (self._policies.locked(tx) if lock else self._policies.unlocked(tx))

    async def item(self, tx: Transaction, item_id: str, *, lock: bool) -> Stored | None:
        """Second lock: the item's row. Its markings never change, so they need none."""
        return await self._items.read(tx, item_id, lock=lock)

    async def roots(self, tx: Transaction, item_id: ItemId) -> frozenset[ItemId]:
        """The candidate lists behind an item."""
        return await self._items.roots(tx, item_id)

    async def sources(self, tx: Transaction, item_id: ItemId) -> tuple[tuple[int, Source], ...]:
        """What each part of a derived item uses."""
        return await self._items.sources(tx, item_id)

    async def held_under(self, tx: Transaction, item_id: ItemId) -> tuple[ReleaseId, ...]:
        """The releases under which its author's component held what an item is made of."""
        return await self._items.held_under(tx, item_id)

    async def owners_told(self, tx: Transaction, component: AgencyId, text: str) -> frozenset[AgencyId]:
        """Whose information a text repeats, as far as this component was given it."""
        return await self._items.owners_told(tx, component, text)

    async def hold(
        self, tx: Transaction, asked: Iterable[tuple[Question, Stored]], policy: PolicySnapshot, *, for_use: bool
    ) -> None:
        """Lock the grants that may be relied on for several questions, all in their order; each is then decided."""
        trees = _trees(policy)
        found: dict[str, bool] = {}
        for question, stored in asked:
            found |= await repository.find(tx, requests(question, stored.item.lineage), trees)
        await repository.hold(tx, found, for_use=for_use)

    async def standing(self, tx: Transaction, item_id: ItemId) -> tuple[ReviewGaps, Confirmations]:
        """How far an item may be relied on: what its reviews lack, and what owners have said of it."""
        return await self._items.review_gaps(tx, item_id), await self._items.confirmations(tx, item_id)

    async def facts(
        self,
        tx: Transaction,
        question: Question,
        stored: Stored,
        policy: PolicySnapshot,
        *,
        lock: bool,
        for_use: bool,
        already_counted: frozenset[GrantId] = frozenset(),
    ) -> Facts:
        """Third lock: the grants that may be relied on. Then what needs no lock, and the clock."""
        trees = _trees(policy)
        grants = await self._grants(tx, requests(question, stored.item.lineage), trees, lock=lock, for_use=for_use)
        leaves = question.action is not Action.VIEW
        reviews = await self._items.review_gaps(tx, stored.item.id) if leaves else NO_GAPS
        # The owner's answer is written under the same lock as a notice, so the same holds of it.
        said = await self._items.confirmations(tx, stored.item.id) if leaves else NOTHING_SAID
        # A notice is written under the item's lock FOR UPDATE, so with the item held nothing new can stand here.
        heeded = leaves or looks_from_outside(question, stored.item.lineage)
        notices = await self._items.notices(tx, stored.item.id) if heeded else ()
        return Facts(
            lineage=stored.item.lineage,
            grants=grants,
            past_grants=(),
            near_grants=None,
            already_counted=already_counted,
            unreviewed=reviews.unreviewed,
            disputed=reviews.disputed,
            verified=said.verified,
            unconfirmed=said.unconfirmed,
            notices=notices,
            placed_since=await places.since(tx, {question.recipient, *stored.item.lineage.owners}) if leaves else {},
            trees=trees,
            caveats=policy.bundle.caveats,
            now=await tx.clock(),
        )

    async def with_past(
        self, tx: Transaction, question: Question, stored: Stored, facts: Facts, *, near: bool
    ) -> Facts:
        """The same facts and some grants that no longer count, so that a refusal can be explained.

        With *near*, for somebody who may look at the item, also some that are about the same in other respects.
        """
        asked = requests(question, stored.item.lineage)
        facts.past_grants = await repository.fetch(tx, await repository.find(tx, asked, facts.trees, past=True))
        if near:
            facts.near_grants = await repository.fetch(tx, await repository.near(tx, asked, facts.trees))
        return facts

    async def _grants(
        self, tx: Transaction, requests: tuple[Request, ...], trees: Trees, *, lock: bool, for_use: bool
    ) -> tuple[Grant, ...]:
        found = await repository.find(tx, requests, trees)
        if lock:
            return await repository.hold(tx, found, for_use=for_use)
        return await repository.fetch(tx, found)


def _trees(policy: PolicySnapshot) -> Trees:
    return Trees(policy.bundle.agencies, policy.bundle.purposes, policy.bundle.civil_purposes)
