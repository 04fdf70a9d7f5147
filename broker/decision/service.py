"""The door. Whoever wants content asks here; what comes out is a `Released`, or a refusal that is on record.

Every question is recorded with its answer in the transaction that relies on it: no row, no act.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

import structlog

from broker.audit.events import Actor, CallRefused, Decided
from broker.audit.recorder import record
from broker.decision import gate
from broker.decision.loader import Loader
from broker.decision.model import Decision, Deny, Permit, Question, Reason, broken
from broker.items.model import Content, Item, Source
from broker.items.reader import Stored
from broker.kernel.ids import AgencyId, CaseId, DecisionId, GrantId, ItemId, PurposeId, ReleaseId, new_id
from broker.kernel.words import Action, ReasonCode, Role
from broker.policy.snapshot import PolicySnapshot
from broker.storage.unit_of_work import Transaction, UnitOfWork

Channel = Literal["view", "derive", "dry_run", "release", "package"]

_INSERT: Final = """
INSERT INTO decision (id, at, channel, actor, component, item_id, recipient, action, purpose, case_id, outcome,
    question, reasons, missing, rules, grants, owners, lineage, policy_digest)
VALUES (%(id)s, %(at)s, %(channel)s, %(actor)s, %(component)s, %(item_id)s, %(recipient)s, %(action)s, %(purpose)s,
    %(case_id)s, %(outcome)s, %(question)s, %(reasons)s, %(missing)s, %(rules)s, %(grants)s, %(owners)s, %(lineage)s,
    %(policy_digest)s)
"""
_DOOR: Final = object()
_NOT_ITS_OWNER: Final = Deny(
    reasons=(
        Reason(
            code=ReasonCode.POLICY_FORBIDS,
            owner=None,
            rule=None,
            detail="in this role only what the own agency owns is looked at",
        ),
    ),
    missing=(),
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants done with an item, in the caller's words; nothing of it is believed."""

    recipient: AgencyId
    action: Action
    purpose: PurposeId
    case_id: CaseId | None
    fields: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision with the circumstances in which it was made."""

    id: DecisionId
    outcome: Decision
    question: Question
    item: Item
    policy_digest: str
    at: datetime


class Released:
    """Content that has passed the door. Only the door makes one, and only on a Permit."""

    __slots__ = ("content", "item", "judgement")

    def __init__(self, key: object, content: Content, judgement: Judgement) -> None:
        if key is not _DOOR or not judgement.outcome:
            raise TypeError("only the door makes a Released, and only on a Permit")
        self.item = judgement.item
        self.content = content
        self.judgement = judgement


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to a wish about an item that the caller may look at. `released` is set on a Permit that was kept."""

    judgement: Judgement
    released: Released | None


@dataclass(frozen=True, slots=True)
class Ancestry:
    """An item that has passed the door, the sources of its parts, and the candidate lists behind it."""

    released: Released
    sources: tuple[tuple[int, Source], ...]
    roots: frozenset[ItemId]


class DecisionService:
    """Asks the gate on what the loader has locked, records the answer, and opens the content on a Permit."""

    def __init__(self, work: UnitOfWork, loader: Loader) -> None:
        self._work = work
        self._loader = loader

    async def view(self, actor: Actor, item_id: str) -> Released | None:
        """The item for the caller's own eyes, or None when there is none that they may know of."""
        async with self._work.begin() as tx:
            return await self.view_within(tx, actor, item_id, "view")

    async def view_within(self, tx: Transaction, actor: Actor, item_id: str, channel: Channel) -> Released | None:
        """The same in the caller's transaction, e.g. for a source of something that is being derived."""
        policy = await self._loader.policy(tx, lock=True)
        stored = await self._loader.item(tx, item_id, lock=True)
        if stored is None:
            await _record_unknown(tx, actor, channel)
            return None
        question = _view_question(actor, stored.item)
        judgement = await self._judge(tx, question, stored, policy, lock=True)
        if not _may_look(actor, stored.item):
            judgement = replace(judgement, outcome=_NOT_ITS_OWNER)
        await _record(tx, actor, judgement, channel)
        return Released(_DOOR, stored.open(), judgement) if judgement.outcome else None

    async def ancestry(self, actor: Actor, item_id: str) -> Ancestry | None:
        """An item for the caller's own eyes, with what it was made of; None as for `view`."""
        async with self._work.begin() as tx:
            return await self.ancestry_within(tx, actor, item_id)

    async def ancestry_within(self, tx: Transaction, actor: Actor, item_id: str) -> Ancestry | None:
        """The same in the caller's transaction."""
        released = await self.view_within(tx, actor, item_id, "view")
        if released is None:
            return None
        sources = await self._loader.sources(tx, released.item.id)
        return Ancestry(released, sources, await self._loader.roots(tx, released.item.id))

    async def roots(self, tx: Transaction, released: Released) -> frozenset[ItemId]:
        """The candidate lists behind an item that has passed the door."""
        return await self._loader.roots(tx, released.item.id)

    async def dry_run(self, actor: Actor, item_id: str, wish: Wish) -> Judgement | None:
        """What would be decided now. Takes no lock and promises nothing; None when the caller may not view the item."""
        async with self._work.begin() as tx:
            asked = await self._ask(tx, actor, item_id, wish, "dry_run", lock=False)
            return None if asked is None else asked.judgement

    async def pass_on(
        self,
        tx: Transaction,
        actor: Actor,
        item_id: str,
        wish: Wish,
        release: ReleaseId,
    ) -> Asked | None:
        """Decide a release in the transaction that makes it; None when the caller may not view the item.

        On a Permit the caller must write the copy, the disclosure and the uses of the grants before committing.
        """
        return await self._ask(tx, actor, item_id, wish, "release", lock=True, release=release)

    async def again(
        self,
        tx: Transaction,
        actor: Actor,
        asker: AgencyId,
        item_id: str,
        wish: Wish,
        release: ReleaseId,
        counted: frozenset[GrantId],
    ) -> Judgement | None:
        """Decide an earlier release anew, before its copy is handed out or its answer repeated.

        What that release itself counted is not counted against it. None only when the item is gone.
        """
        policy = await self._loader.policy(tx, lock=True)
        stored = await self._loader.item(tx, item_id, lock=True)
        if stored is None:
            return None
        question = _wish_question(asker, stored.item, wish)
        judgement = await self._judge(tx, question, stored, policy, lock=True, counted=counted)
        await _record(tx, actor, judgement, "package", release)
        return judgement

    async def _ask(
        self,
        tx: Transaction,
        actor: Actor,
        item_id: str,
        wish: Wish,
        channel: Channel,
        *,
        lock: bool,
        release: ReleaseId | None = None,
    ) -> Asked | None:
        policy = await self._loader.policy(tx, lock=lock)
        stored = await self._loader.item(tx, item_id, lock=lock)
        if stored is None:
            await _record_unknown(tx, actor, channel)
            return None
        seen = await self._judge(tx, _view_question(actor, stored.item), stored, policy, lock=lock)
        if not seen.outcome:
            await _record(tx, actor, seen, "view")
            return None
        question = _wish_question(AgencyId(actor.agency), stored.item, wish)
        judgement = await self._judge(tx, question, stored, policy, lock=lock, for_use=lock)
        await _record(tx, actor, judgement, channel, release)
        kept = lock and bool(judgement.outcome)
        return Asked(judgement, Released(_DOOR, stored.open(), judgement) if kept else None)

    async def _judge(
        self,
        tx: Transaction,
        question: Question,
        stored: Stored,
        policy: PolicySnapshot | None,
        *,
        lock: bool,
        for_use: bool = False,
        counted: frozenset[GrantId] = frozenset(),
    ) -> Judgement:
        if policy is None:
            outcome: Decision = broken("the policy in force is not loaded here; try again, or ask the operators")
            digest, at = "unavailable", await tx.clock()
        else:
            facts = await self._loader.facts(
                tx, question, stored, policy, lock=lock, for_use=for_use, already_counted=counted
            )
            outcome = gate.decide(question, facts, policy.engine, _alarm)
            if isinstance(outcome, Deny) and outcome.missing:
                facts = await self._loader.with_past(tx, question, stored, facts)
                outcome = gate.decide(question, facts, policy.engine, _alarm)
            digest, at = policy.bundle.digest, facts.now
        return Judgement(DecisionId(new_id("dec")), outcome, question, stored.item, digest, at)


def _may_look(actor: Actor, item: Item) -> bool:
    """A release officer answers for the own agency as owner, and looks at nothing else in that capacity."""
    works_cases = not {Role.ANALYST.value, Role.REVIEWER.value}.isdisjoint(actor.roles)
    return works_cases or actor.agency in item.lineage.owners


def _view_question(actor: Actor, item: Item) -> Question:
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


def _wish_question(asker: AgencyId, item: Item, wish: Wish) -> Question:
    return Question(
        item=item.id,
        kind=item.kind,
        asker=asker,
        recipient=wish.recipient,
        action=wish.action,
        purpose=wish.purpose,
        case_id=wish.case_id,
        fields=wish.fields,
    )


def _alarm(failure: Exception) -> None:
    _log.critical("gate_failed", kind=type(failure).__name__, exc_info=failure)


async def _record_unknown(tx: Transaction, actor: Actor, channel: Channel) -> None:
    # The same effort as for an item that is there and may not be seen, and an entry that names no item.
    await record(tx, CallRefused(actor=actor, route=f"item:{channel}", status=404))


async def _record(
    tx: Transaction, actor: Actor, judgement: Judgement, channel: Channel, release: ReleaseId | None = None
) -> None:
    outcome, question = judgement.outcome, judgement.question
    reasons = outcome.reasons if isinstance(outcome, Deny) else ()
    missing = outcome.missing if isinstance(outcome, Deny) else ()
    grants = outcome.grants if isinstance(outcome, Permit) else ()
    verdict: Literal["permit", "deny"] = "permit" if outcome else "deny"
    if any(reason.code is ReasonCode.ENGINE_FAILURE for reason in reasons):
        _log.critical("decision_without_policy_or_gate", decision=judgement.id, item=question.item)
    owners = sorted(judgement.item.lineage.owners)
    await tx.write(
        _INSERT,
        {
            "id": judgement.id,
            "at": judgement.at,
            "channel": channel,
            "actor": actor.sub,
            "component": actor.agency,
            "item_id": question.item,
            "recipient": question.recipient,
            "action": question.action.value,
            "purpose": question.purpose,
            "case_id": question.case_id,
            "outcome": verdict,
            "question": question.model_dump_json(),
            "reasons": json.dumps([reason.model_dump(mode="json") for reason in reasons]),
            "missing": json.dumps([one.model_dump(mode="json") for one in missing]),
            "rules": [str(rule) for rule in (outcome.rules if isinstance(outcome, Permit) else ())],
            "grants": list(grants),
            "owners": owners,
            "lineage": judgement.item.lineage.model_dump_json(),
            "policy_digest": judgement.policy_digest,
        },
    )
    await record(
        tx,
        Decided(
            actor=actor,
            decision_id=judgement.id,
            item_id=question.item,
            release_id=release,
            channel=channel,
            outcome=verdict,
            action=question.action.value,
            recipient=question.recipient,
            purpose=question.purpose or "",
            owners=tuple(owners),
            reasons=tuple(sorted({reason.code.value for reason in reasons})),
            grants=tuple(grants),
            policy_digest=judgement.policy_digest,
        ),
    )
