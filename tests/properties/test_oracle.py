"""The gate and the policy engine against a second evaluator: they never differ, in either direction."""

import os
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from broker.decision import gate
from broker.decision.model import Deny, Permit
from broker.grants.model import Grant
from broker.kernel.words import ReasonCode
from tests.properties import oracle, values
from tests.support.permission import NOON

_SEED = 20261123
_WORLDS = 10_000
_PER_DECISION = {"permission_missing", "grant_revoked", "grant_expired", "grant_exhausted"}


def _quiet(failure: Exception) -> None:
    raise AssertionError("the gate failed inside") from failure


def _compare(chance: Random, tally: dict[str, int], grants_of: Any) -> None:
    hostile = chance.random() < 0.1
    question = chance.choice(values.HOSTILE_QUESTIONS) if hostile else chance.choice(values.SITUATIONS)[0]
    lineage = chance.choice(values.LINEAGES)
    grants = grants_of(chance, question, lineage)
    unreviewed = chance.choice([(), (), ("itm_" + "c" * 26,)])
    facts = values.facts(lineage, grants, unreviewed=unreviewed)
    outcome = gate.decide(question, facts, values.ENGINE, _quiet)
    expected = oracle.permitted(question, lineage.markings, grants, NOON, lineage.expires_at, unreviewed)
    if isinstance(outcome, Permit):
        assert expected is True, f"over-permit: {question} {lineage} {grants}"
        tally["permits"] += 1
        return
    assert isinstance(outcome, Deny)
    assert expected is not True, f"denied without need: {outcome.reasons} {question} {lineage} {grants}"
    assert outcome.reasons, "a denial without an explanation"
    assert not any(reason.code is ReasonCode.ENGINE_FAILURE for reason in outcome.reasons)
    # Whose permission is missing is the same; a covering grant whose caveat is unmet is said as that.
    unmet = {reason.owner for reason in outcome.reasons if reason.code is ReasonCode.CAVEAT_UNMET}
    named = {one.owner for one in outcome.missing}
    assert expected is False or named <= expected <= named | unmet, (named, expected, unmet)
    tally["denials"] += 1


def _grants(chance: Random, question: Any, lineage: Any) -> tuple[Grant, ...]:
    """Random grants, and often one that fits each owner, so that permits come up."""
    some = [chance.choice(values.GRANTS) for _ in range(chance.randint(0, 3))]
    if chance.random() < 0.6 and question.recipient in values.AGENCIES and question.purpose in values.PURPOSES:
        some += [values.helpful(question, owner) for owner in sorted(lineage.owners)]
    return tuple(some)


def _run(worlds: int, seed: int) -> dict[str, int]:
    chance, tally = Random(seed), {"permits": 0, "denials": 0}
    for _ in range(worlds):
        _compare(chance, tally, _grants)
    return tally


def test_the_gate_agrees_with_a_second_evaluator() -> None:
    tally = _run(_WORLDS, _SEED)
    assert tally["permits"] > _WORLDS / 20, tally
    assert tally["denials"] > _WORLDS / 20, tally


def test_an_evaluator_that_asks_any_owner_instead_of_all_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = gate.decide

    def any_owner(question: Any, facts: Any, policy: Any, alarm: Any) -> gate.Decision:
        for marking in facts.lineage.markings:
            alone = facts.lineage.model_copy(update={"markings": (marking,)})
            outcome = real(question, values.facts(alone, facts.grants, unreviewed=facts.unreviewed), policy, alarm)
            if outcome:
                return outcome
        return real(question, facts, policy, alarm)

    monkeypatch.setattr(gate, "decide", any_owner)
    with pytest.raises(AssertionError, match="over-permit"):
        _run(_WORLDS, _SEED)


@pytest.mark.deep
def test_a_million_worlds() -> None:
    seed = int(os.environ.get("ORACLE_SEED", str(_SEED)))
    began = time.monotonic()
    tally = _run(1_000_000, seed)
    page = Path("docs/measurements/oracle.md")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        "# The gate against a second evaluator\n\n"
        f"1,000,000 random worlds, seed {seed}: {tally['permits']:,} permits, {tally['denials']:,} denials, "
        f"0 differences, {time.monotonic() - began:.0f} s.\n",
        "utf-8",
    )
