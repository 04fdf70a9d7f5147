"""Decisions and how each is put on record, in the transaction that relies on it: no row, no act."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import structlog

from broker.audit.events import Actor, CallRefused, Decided
from broker.audit.recorder import record
from broker.decision.model import Decision, Deny, Permit, Question
from broker.items.model import Item
from broker.kernel.ids import DecisionId, ReleaseId
from broker.kernel.words import ReasonCode
from broker.provenance.lineage import Lineage
from broker.storage.unit_of_work import Transaction

Channel = Literal["view", "derive", "dry_run", "release", "package", "holding"]

_INSERT: Final = """
INSERT INTO decision (id, at, channel, actor, component, item_id, recipient, action, purpose, case_id, outcome,
    question, reasons, missing, rules, grants, holdings, owners, lineage, policy_digest)
VALUES (%(id)s, %(at)s, %(channel)s, %(actor)s, %(component)s, %(item_id)s, %(recipient)s, %(action)s, %(purpose)s,
    %(case_id)s, %(outcome)s, %(question)s, %(reasons)s, %(missing)s, %(rules)s, %(grants)s, %(holdings)s, %(owners)s,
    %(lineage)s, %(policy_digest)s)
"""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision with the circumstances in which it was made."""

    id: DecisionId
    outcome: Decision
    question: Question
    item: Item
    policy_digest: str
    at: datetime
    holdings: tuple[ReleaseId, ...] = ()
    """The releases under which the asker holds the item, where it is the holder and not the one that asked."""

    @property
    def asked_for(self) -> Lineage:
        """The markings of what the question asks for: some of the item's where it names fields, else all."""
        return self.item.lineage.concerning(self.question.places())


async def record_unknown(tx: Transaction, actor: Actor, channel: Channel) -> None:
    """Record that somebody asked for an item that is not there."""
    # The same effort as for an item that is there and may not be seen, and an entry that names no item.
    await record(tx, CallRefused(actor=actor, route=f"item:{channel}", status=404))


async def record_judgement(
    tx: Transaction, actor: Actor, judgement: Judgement, channel: Channel, release: ReleaseId | None = None
) -> None:
    """Write a decision and its audit entry."""
    outcome, question = judgement.outcome, judgement.question
    reasons = outcome.reasons if isinstance(outcome, Deny) else ()
    missing = outcome.missing if isinstance(outcome, Deny) else ()
    grants = outcome.grants if isinstance(outcome, Permit) else ()
    verdict: Literal["permit", "deny"] = "permit" if outcome else "deny"
    if any(reason.code is ReasonCode.ENGINE_FAILURE for reason in reasons):
        _log.critical("decision_without_policy_or_gate", decision=judgement.id, item=question.item)
    owners = sorted(judgement.asked_for.owners)
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
            "holdings": list(judgement.holdings),
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
            holdings=judgement.holdings,
            policy_digest=judgement.policy_digest,
        ),
    )
