"""How somebody may come to an item: by the look, or because they hold it.

A look is a question to the gate like any other. Where it is refused, a holding is tried: a release to the caller's
agency whose own question, decided again at this moment, is still answered yes. Each holding is judged by itself, and
any one suffices. What was written from holdings is looked at while every release behind it still would be made.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

import structlog

from broker.audit.events import Actor
from broker.decision import gate
from broker.decision.holding import Holding, Holdings
from broker.decision.journal import Judgement, record_judgement
from broker.decision.loader import Loader
from broker.decision.model import Decision, Deny, Permit, Question, broken, forbidden
from broker.decision.need_to_know import may_know
from broker.items.model import Item
from broker.items.reader import Stored
from broker.kernel.ids import AgencyId, DecisionId, GrantId, ItemId, ReleaseId, new_id
from broker.kernel.words import Action
from broker.policy.snapshot import PolicySnapshot
from broker.provenance.marking import Marking
from broker.storage.unit_of_work import Transaction

_log = structlog.get_logger(__name__)
_UNJUDGED: Final = "the policy in force is not loaded here; try again, or ask the operators"
_NO_POLICY: Final = "unavailable"
_NOT_ASKED_FOR: Final = forbidden(
    "another component has written this; to have asked for what it is made of does not open it"
)

_NOT_TO_KNOW: Final = forbidden("only who is enrolled for the partner may know what it said of a participant")


class Explain(Enum):
    """How far a refusal for want of permission is explained."""

    WHAT_WAS = "what was"
    """With what became of grants that would have covered it."""
    IN_FULL = "in full"
    """Also with the nearest grant and what it lacks, for somebody who may look at the item."""


@dataclass(frozen=True, slots=True)
class Look:
    """Whether the caller may come to an item, and on what that rests."""

    judgement: Judgement
    fields: tuple[str, ...] | None
    """What of it; None for all."""
    hops: int
    """How many releases lie between the component that asked and the caller."""
    by_copy: bool = False
    """Whether the caller has a copy of it and may not look at the item itself."""
    purge_by: datetime | None = None
    """By when what the caller holds has to be gone, where an owner said so."""


class Sight:
    """Asks the gate on what the loader has read, for the door."""

    def __init__(self, loader: Loader, holdings: Holdings) -> None:
        self._loader = loader
        self._holdings = holdings

    async def withheld(
        self, tx: Transaction, actor: Actor, stored: Stored, policy: PolicySnapshot | None
    ) -> Judgement | None:
        """The refusal for somebody who may not know of the item; None for everybody else, whatever else is asked then."""
        if await may_know(tx, actor, stored.item, policy):
            return None
        digest = policy.bundle.digest if policy is not None else _NO_POLICY
        question = view_question(actor, stored.item)
        return Judgement(DecisionId(new_id("dec")), _NOT_TO_KNOW, question, stored.item, digest, await tx.clock())

    async def judge(  # each is a separate circumstance of the decision
        self,
        tx: Transaction,
        question: Question,
        stored: Stored,
        policy: PolicySnapshot | None,
        *,
        lock: bool,
        for_use: bool = False,
        counted: frozenset[GrantId] | None = None,
        explain: Explain | None = Explain.WHAT_WAS,
    ) -> Judgement:
        """Decide one question. What is relied on is locked, unless nothing is promised.

        *counted* is None but for a release that was made before: then, the grants whose use by it was counted.

        Without *explain* a refusal says only whose permission is missing.
        """
        if policy is None:
            outcome: Decision = broken(_UNJUDGED)
            digest, at = _NO_POLICY, await tx.clock()
        else:
            facts = await self._loader.facts(
                tx, question, stored, policy, lock=lock, for_use=for_use, already_counted=counted or frozenset()
            )
            if counted is not None:
                # Its uses were counted when it was made; another permission's are spent on what is made, not on this.
                facts.grants = tuple(g for g in facts.grants if g.terms.max_uses is None or g.id in counted)
            outcome = gate.decide(question, facts, policy.engine, _alarm)
            if explain is not None and isinstance(outcome, Deny) and outcome.missing:
                facts = await self._loader.with_past(tx, question, stored, facts, near=explain is Explain.IN_FULL)
                outcome = gate.decide(question, facts, policy.engine, _alarm)
            digest, at = policy.bundle.digest, facts.now
        return Judgement(DecisionId(new_id("dec")), outcome, question, stored.item, digest, at)

    async def look(  # copies, then: what the caller wants it for
        self,
        tx: Transaction,
        actor: Actor,
        stored: Stored,
        policy: PolicySnapshot | None,
        *,
        lock: bool,
        copies: bool,
        then: Question | None = None,
    ) -> Look:
        """Whether the caller may come to the item. With *copies* a holding of it serves, too; for the eyes it does not.

        *then* is what is asked next about the same item; its grants are locked together with those of the holdings.
        """
        seen = await self.judge(tx, view_question(actor, stored.item), stored, policy, lock=lock)
        if _written_by_others(actor, stored.item) and isinstance(seen.outcome, Permit) and not seen.outcome.grants:
            seen = replace(seen, outcome=_NOT_ASKED_FOR)
        if seen.outcome or policy is None:
            return Look(seen, None, 0)
        agency = AgencyId(actor.agency)
        direct = await self._holdings.of(tx, agency, stored.item.id) if copies else ()
        behind = await self._behind(tx, agency, stored.item)
        if not direct and not behind:
            return Look(seen, None, 0)
        items = await self._items(tx, stored, behind)
        if lock:
            await self._hold(tx, policy, (*direct, *behind), items, (then, stored) if then is not None else None)
        for holding in direct:
            again = await self._again(tx, actor, holding, stored, policy, lock=lock)
            if isinstance(again.outcome, Permit):
                rests = _resting(seen, again.outcome, (holding.release,))
                return Look(rests, holding.fields, holding.hop, by_copy=True, purge_by=holding.purge_by)
        written = await self._written(tx, actor, stored, policy, behind, items, lock=lock) if behind else None
        if written is not None:
            rests = _resting(seen, written, tuple(one.release for one in behind))
            return Look(rests, None, _longest(behind), purge_by=_earliest(behind))
        return Look(seen, None, 0)

    async def _behind(self, tx: Transaction, agency: AgencyId, item: Item) -> tuple[Holding, ...]:
        """The holdings that the caller's own component has written the item from; none if one is a holding no more."""
        if item.component != agency:
            return ()
        releases = await self._loader.held_under(tx, item.id)
        found = await self._holdings.named(tx, agency, releases) if releases else ()
        return found if {one.release for one in found} == set(releases) else ()

    async def _items(self, tx: Transaction, stored: Stored, behind: tuple[Holding, ...]) -> dict[ItemId, Stored]:
        # Without a lock: whatever an owner announces about them reaches what is made of them, which is locked.
        found = {stored.item.id: stored}
        for item in sorted({one.item for one in behind} - set(found)):
            read = await self._loader.item(tx, item, lock=False)
            if read is not None:
                found[item] = read
        return found

    async def _hold(
        self,
        tx: Transaction,
        policy: PolicySnapshot,
        holdings: tuple[Holding, ...],
        items: dict[ItemId, Stored],
        then: tuple[Question, Stored] | None,
    ) -> None:
        # All at once and in their order, so that two who pass on what they hold never wait for each other in a ring.
        asked = [(held_question(one, items[one.item].item), items[one.item]) for one in holdings if one.item in items]
        await self._loader.hold(tx, (*asked, *((then,) if then is not None else ())), policy, for_use=then is not None)

    async def _again(
        self,
        tx: Transaction,
        actor: Actor,
        holding: Holding,
        stored: Stored,
        policy: PolicySnapshot,
        *,
        lock: bool,
    ) -> Judgement:
        question = held_question(holding, stored.item)
        counted = frozenset(holding.grants)
        judgement = await self.judge(tx, question, stored, policy, lock=lock, counted=counted, explain=None)
        await record_judgement(tx, actor, judgement, "holding", holding.release)
        return judgement

    async def _written(
        self,
        tx: Transaction,
        actor: Actor,
        stored: Stored,
        policy: PolicySnapshot,
        behind: tuple[Holding, ...],
        items: dict[ItemId, Stored],
        *,
        lock: bool,
    ) -> Permit | None:
        """A Permit if every release behind the item would still be made, and the rest of it is the caller's own."""
        permits: list[Permit] = []
        covered: set[tuple[str | None, ...]] = set()
        for holding in behind:
            source = items.get(holding.item)
            if source is None:
                return None
            again = await self._again(tx, actor, holding, source, policy, lock=lock)
            if not isinstance(again.outcome, Permit):
                return None
            permits.append(again.outcome)
            asked_for = source.item.lineage.concerning(again.question.places())
            covered |= {_part(marking) for marking in asked_for.markings}
        rest = tuple(one for one in stored.item.lineage.markings if _part(one) not in covered)
        if rest:
            lineage = stored.item.lineage.model_copy(update={"markings": rest})
            own = stored.narrowed(stored.item.model_copy(update={"lineage": lineage}))
            judged = await self.judge(tx, view_question(actor, own.item), own, policy, lock=lock, explain=None)
            if not isinstance(judged.outcome, Permit):
                return None
            permits.append(judged.outcome)
        return _union(permits)


def view_question(actor: Actor, item: Item) -> Question:
    """Looking is a question like any other: the looker is asker and recipient at once."""
    component = AgencyId(actor.agency)
    return Question(
        item=item.id,
        kind=item.kind,
        asker=component,
        recipient=component,
        action=Action.VIEW,
        purpose=item.purpose,
        case_id=item.case_id,
        fields=None,
    )


def held_question(holding: Holding, item: Item) -> Question:
    """The question that a release answered."""
    return Question(
        item=item.id,
        kind=item.kind,
        asker=holding.component,
        recipient=holding.recipient,
        action=holding.action,
        purpose=holding.purpose,
        case_id=holding.case_id,
        fields=holding.fields,
        hops=holding.hop,
        copy_until=holding.purge_by,
        # It was made, so its fields led somewhere, and a content never changes.
        resolved=True,
    )


def _written_by_others(actor: Actor, item: Item) -> bool:
    """A component that asked a partner may look at the answer, and not at what a recipient has written from its copy."""
    return actor.agency != item.component and actor.agency not in item.lineage.owners


def _part(marking: Marking) -> tuple[str | None, ...]:
    return (
        marking.owner,
        marking.custodian,
        marking.source_system,
        marking.agreement,
        marking.asked_by,
        marking.case_id,
    )


def _resting(seen: Judgement, outcome: Permit, releases: tuple[ReleaseId, ...]) -> Judgement:
    return replace(seen, outcome=outcome, holdings=releases)


def _longest(holdings: tuple[Holding, ...]) -> int:
    # What is made of all of them has come as far as the one that came furthest.
    return max(one.hop for one in holdings)


def _earliest(holdings: tuple[Holding, ...]) -> datetime | None:
    return min((one.purge_by for one in holdings if one.purge_by is not None), default=None)


def _union(permits: list[Permit]) -> Permit:
    return Permit(
        grants=tuple(sorted({grant for one in permits for grant in one.grants})),
        rules=tuple(rule for one in permits for rule in one.rules),
        caveats=tuple(sorted({code for one in permits for code in one.caveats})),
    )


def _alarm(failure: Exception) -> None:
    _log.critical("gate_failed", kind=type(failure).__name__, exc_info=failure)
