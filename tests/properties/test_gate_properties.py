"""What holds of every decision, whoever asks for what: more owners, fewer grants or more caveats never free anything."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from broker.decision import gate
from broker.decision.gate import decide
from broker.decision.model import Deny, Permit, Question, broken
from broker.grants.coverage import lacks
from broker.grants.model import Grant
from broker.kernel.words import Action, ItemKind, ReasonCode
from broker.policy.question import ShareQuestion, Verdict
from broker.provenance.lineage import Lineage
from broker.provenance.selection import reaches
from tests.properties.values import (
    ENGINE,
    HOSTILE,
    PER_TEST,
    SITUATIONS,
    TREES,
    caught,
    facts,
    grants,
    helpful,
    hostile_questions,
    lineages,
    markings,
    situations,
)
from tests.support.permission import CASE, ITEM, NOON, marking

Situation = tuple[Question, Lineage, tuple[Grant, ...]]


def quiet(_: Exception) -> None:
    """Nobody is told; the answer is looked at instead."""


def decided(question: Question, lineage: Lineage, held: tuple[Grant, ...], **changes: Any) -> gate.Decision:
    return decide(question, facts(lineage, held, **changes), ENGINE, _raise)


def _raise(failure: Exception) -> None:
    raise failure


def test_without_an_owner_it_is_locked() -> None:
    question = Question.model_construct(
        item="itm",
        kind="lead",
        asker="ICE-HSI",
        recipient="FBI",
        action=Action.RELEASE,
        purpose="criminal_investigation",
    )
    answer = decide(question, facts(Lineage(markings=(), roots=frozenset()), ()), ENGINE, quiet)
    assert isinstance(answer, Deny)
    assert ReasonCode.NO_PROVENANCE in {reason.code for reason in answer.reasons}


def test_the_examples_hold_both_answers() -> None:
    permitted = sum(bool(decided(*situation)) for situation in SITUATIONS)
    assert len(SITUATIONS) // 10 < permitted < len(SITUATIONS) * 9 // 10


@given(situations)
@PER_TEST
def test_a_deny_has_a_reason(situation: Situation) -> None:
    answer = decided(*situation)
    assert bool(answer) is isinstance(answer, Permit)
    if isinstance(answer, Deny):
        assert answer.reasons


@given(situations, markings)
@PER_TEST
def test_adding_an_owner_never_turns_deny_into_permit(situation: Situation, added: Any) -> None:
    question, lineage, held = situation
    before = decided(question, lineage, held)
    assume(not before)
    # A field that is nobody's asks everybody; with an owner of its own it asks that one.
    assume(all(any(reaches(m.selectors, one) for m in lineage.markings) for one in question.places() or ()))
    wider = lineage.model_copy(update={"markings": (*lineage.markings, added)})
    assert not decided(question, wider, held)


@given(situations, st.data())
@PER_TEST
def test_taking_a_grant_away_never_turns_deny_into_permit(situation: Situation, data: Any) -> None:
    question, lineage, held = situation
    assume(held and not decided(question, lineage, held))
    gone = data.draw(st.integers(0, len(held) - 1))
    assert not decided(question, lineage, held[:gone] + held[gone + 1 :])


@given(situations, st.data(), st.sampled_from(["originator_only", "department_only", "unheard_of", "lead_only"]))
@PER_TEST
def test_adding_a_caveat_never_turns_deny_into_permit(situation: Situation, data: Any, code: str) -> None:
    question, lineage, held = situation
    assume(not decided(question, lineage, held))
    at = data.draw(st.integers(0, len(lineage.markings) - 1))
    stricter = list(lineage.markings)
    stricter[at] = stricter[at].model_copy(update={"caveats": tuple(sorted({*stricter[at].caveats, code}))})
    assert not decided(question, lineage.model_copy(update={"markings": tuple(stricter)}), held)


@given(situations)
@PER_TEST
def test_a_permit_rests_on_every_owner_and_on_grants_that_cover(situation: Situation) -> None:
    question, lineage, held = situation
    answer = decided(question, lineage, held)
    if not isinstance(answer, Permit):
        return
    asked_for = lineage.concerning(question.places())
    others = asked_for.owners - {question.recipient}
    used = [one for one in held if one.id in answer.grants]
    for owner in others:
        own_rules = [rule for rule in answer.rules if rule.file == f"owners/{owner}.csv"]
        assert own_rules, f"nothing of {owner} was asked"
        if not own_rules[0].text.endswith("nothing, allow") and not own_rules[0].text.endswith("original, allow"):
            assert any(one.terms.owner == owner for one in used)
    requests = {request.owner: request for request in gate.requests(question, lineage)}
    for one in used:
        assert not lacks(one, requests[one.terms.owner], TREES, NOON)
    assert {code for m in asked_for.markings for code in m.caveats} <= set(answer.caveats)


@given(situations)
@PER_TEST
def test_fields_of_which_it_is_not_known_where_they_lead_ask_every_owner(situation: Situation) -> None:
    question, lineage, held = situation
    unknown = question.model_copy(update={"resolved": False})
    answer = decided(unknown, lineage, held)
    if isinstance(answer, Permit):
        asked = {rule.file for rule in answer.rules}
        assert {f"owners/{owner}.csv" for owner in lineage.owners - {question.recipient}} <= asked


@given(situations)
@PER_TEST
def test_what_may_pass_as_a_whole_may_pass_in_part(situation: Situation) -> None:
    question, lineage, held = situation
    whole = question.model_copy(update={"fields": None})
    if decided(whole, lineage, held):
        assert decided(question, lineage, held)


@given(situations)
@PER_TEST
def test_the_nearest_grant_is_told_to_those_who_may_know_and_lacks_what_is_said(situation: Situation) -> None:
    question, lineage, held = situation
    silent = decided(question, lineage, held)
    told = decided(question, lineage, held, near_grants=())
    assert bool(silent) is bool(told)
    if isinstance(silent, Permit) or isinstance(told, Permit):
        return
    assert not any(one.nearest for one in (*silent.missing, *silent.reasons))
    requests = {request.owner: request for request in gate.requests(question, lineage)}
    for one in told.missing:
        mine = [grant for grant in held if grant.terms.owner == one.owner]
        assert (one.nearest is None) is (not mine)
        if one.nearest is not None:
            fewest = min(len(lacks(grant, requests[one.owner], TREES, NOON)) for grant in mine)
            assert len(one.nearest.lacks) == fewest > 0


@given(situations)
@PER_TEST
def test_a_disagreement_or_a_doubt_frees_nothing_and_stops_what_leaves(situation: Situation) -> None:
    question, lineage, held = situation
    leaves = question.action is not Action.VIEW
    disputed = decided(question, lineage, held, disputed=(ITEM,))
    doubted = decided(question, lineage, held, unconfirmed=frozenset(sorted(lineage.owners)[:1]))
    if not decided(question, lineage, held):
        assert not disputed
        assert not doubted
    if leaves and isinstance(doubted, Deny):
        assert ReasonCode.CAVEAT_UNMET in {reason.code for reason in doubted.reasons}
    assert not (leaves and doubted)
    if leaves and question.kind is not ItemKind.CANDIDATE_LIST:
        assert isinstance(disputed, Deny)
        assert any("a third is needed" in reason.detail for reason in disputed.reasons)


@given(situations)
@PER_TEST
def test_an_owner_s_word_meets_its_own_caveat_and_no_other_s(situation: Situation) -> None:
    question, lineage, held = situation
    asked = lineage.model_copy(
        update={"markings": tuple(m.model_copy(update={"caveats": ("verify_with_owner",)}) for m in lineage.markings)}
    )
    free = lineage.model_copy(
        update={"markings": tuple(m.model_copy(update={"caveats": ()}) for m in lineage.markings)}
    )
    everybody = decided(question, asked, held, verified=lineage.owners)
    assert bool(everybody) is bool(decided(question, free, held, verified=lineage.owners))
    strangers = frozenset({"SOMEBODY-ELSE"}) - lineage.owners
    assert bool(decided(question, asked, held, verified=strangers)) is bool(decided(question, asked, held))


@given(situations)
@PER_TEST
def test_whose_permission_is_missing_is_named(situation: Situation) -> None:
    question, lineage, held = situation
    answer = decided(question, lineage, held)
    if isinstance(answer, Deny):
        named = {one.owner for one in answer.missing}
        assert named <= lineage.owners - {question.recipient}
        assert {r.owner for r in answer.reasons if r.code is ReasonCode.PERMISSION_MISSING} == named


@given(hostile_questions, lineages, st.lists(grants, max_size=2).map(tuple), st.sampled_from(HOSTILE))
@PER_TEST
def test_it_is_total_and_hostile_words_are_never_permitted(
    question: Question, lineage: Lineage, held: tuple[Grant, ...], word: str
) -> None:
    answer = decide(question, facts(lineage, held), ENGINE, quiet)
    assert isinstance(answer, Permit | Deny)
    if question.recipient in HOSTILE or question.asker in HOSTILE:
        assert isinstance(answer, Deny)
    # An owner that nobody knows is an owner nobody can ask.
    strange = lineage.model_copy(update={"markings": (marking("CBP").model_copy(update={"owner": word}),)})
    told: list[Exception] = []
    assert not decide(question, facts(strange, held), ENGINE, told.append) or question.recipient == word


class Broken:
    """A policy that cannot answer."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    def ask(self, question: ShareQuestion) -> Verdict:
        raise self.failure


@pytest.mark.parametrize(
    "failure", [ValueError("x"), KeyError(1), RecursionError(), MemoryError(), ZeroDivisionError()]
)
def test_an_exception_is_a_deny_and_an_alarm(failure: Exception) -> None:
    question, lineage = _plain()
    told: list[Exception] = []
    answer = decide(question, facts(lineage, (helpful(question, "DOS"),)), Broken(failure), told.append)
    assert isinstance(answer, Deny)
    assert [reason.code for reason in answer.reasons] == [ReasonCode.ENGINE_FAILURE]
    assert told == [failure]
    # Nothing of what broke is told to the asker.
    assert "x" not in answer.reasons[0].detail.split()


def test_facts_that_are_no_facts_are_a_deny_too() -> None:
    question, lineage = _plain()
    for nonsense in (
        {"grants": None},
        {"caveats": None},
        {"trees": None},
        {"lineage": None},
        {"now": "yesterday", "lineage": None},
    ):
        told: list[Exception] = []
        given_facts = facts(lineage, (helpful(question, "DOS"),))
        for name, value in nonsense.items():
            setattr(given_facts, name, value)
        answer = decide(question, given_facts, ENGINE, told.append)
        assert isinstance(answer, Deny), nonsense
        assert told


def _plain() -> tuple[Question, Lineage]:
    question = Question(
        item=ITEM,
        kind=ItemKind.LEAD,
        asker="ICE-HSI",
        recipient="FBI",
        action=Action.RELEASE,
        purpose="criminal_investigation",
        case_id=CASE,
        fields=None,
    )
    return question, Lineage(markings=(marking("DOS", caveats=("lead_only",)),), roots=frozenset())


# Traitors: each rule above is broken on purpose, and the test above must see it.


def any_owner(question: Question, given_facts: Any, policy: Any, alarm: Any) -> gate.Decision:
    """Traitor: one owner's yes is enough."""
    answers = []
    for owner in sorted(given_facts.lineage.owners):
        alone = facts(Lineage(markings=given_facts.lineage.parts_of(owner), roots=frozenset()), given_facts.grants)
        answers.append(decide(question, alone, policy, alarm))
    return next((one for one in answers if one), answers[0] if answers else broken("none"))


def test_traitor_any_owner_for_all_owners_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    question, lineage = _plain()
    both = lineage.model_copy(update={"markings": (*lineage.markings, marking("CBP"))})
    held = (helpful(question, "DOS"),)
    assert not decided(question, both, held)
    assert any_owner(question, facts(both, held), ENGINE, _raise)
    monkeypatch.setitem(globals(), "decided", lambda *asked: any_owner(asked[0], facts(*asked[1:]), ENGINE, quiet))
    assert caught(test_a_permit_rests_on_every_owner_and_on_grants_that_cover, SITUATIONS)


def test_traitor_that_takes_the_last_moment_as_valid_is_caught() -> None:
    """`<=` at the end of the period: the grant would still hold at the moment it says it ends."""
    question, lineage = _plain()
    until_now = helpful(question, "DOS", valid_from=NOON - timedelta(hours=1), valid_until=NOON)
    a_moment_more = helpful(
        question, "DOS", valid_from=NOON - timedelta(hours=1), valid_until=NOON + timedelta(microseconds=1)
    )
    assert not decided(question, lineage, (until_now,))
    assert decided(question, lineage, (a_moment_more,))
    # The traitor sees the moment before, and permits what the first line refuses.
    assert decided(question, lineage, (until_now,), now=NOON - timedelta(microseconds=1))
