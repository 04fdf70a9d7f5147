"""The rules of searching on random questions: what is more in order is never refused for it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.kernel.words import EvidentiaryBasis, Predicate, ProbeKind, Role
from broker.policy import search_matching
from broker.policy.engine import PolicyEngine
from broker.policy.search_question import SearchQuestion
from broker.policy.source import from_files
from tests.properties import values
from tests.support.policy_files import lean, shipped
from tests.support.search_questions import search

BUNDLE = from_files(lean(shipped()))
ENGINE = PolicyEngine(BUNDLE)
RISING = list(EvidentiaryBasis)

questions = st.builds(
    SearchQuestion,
    partner=st.sampled_from(["cbp-atsp", "dos-ccd", "dos-ccd ", "any", ""]),
    role=st.sampled_from([Role.ANALYST, Role.ANALYST, *Role]),
    requester=st.sampled_from(["ICE-HSI", "ICE-ERO", "ICE-HSI\n", "any", "within:DHS"]),
    training=st.sampled_from(["valid", "lapsed"]).map(search_matching.Training),
    enrolled=st.sampled_from(["yes", "no"]).map(search_matching.Enrolment),
    case=st.sampled_from(["open", "closed"]).map(search_matching.CaseState),
    predicate=st.sampled_from(Predicate),
    purpose=st.sampled_from([*BUNDLE.purposes, "any", "under:any", ""]),
    evidentiary_basis=st.sampled_from(EvidentiaryBasis),
    grounds_stated=st.booleans(),
    prior_methods=st.booleans(),
    exigent=st.booleans(),
    probe_kind=st.sampled_from(ProbeKind),
    probe_age_days=st.sampled_from([0, 3650, 3651]),
    lawful_acquisition_attested=st.booleans(),
    first_amendment_activity=st.booleans(),
    edits=st.just(()),
    max_candidates=st.sampled_from([2, 50, 51]),
    agreement=st.just(search().agreement),
)
BETTER: dict[str, Any] = {
    "training": search().training,
    "enrolled": search().enrolled,
    "case": search().case,
    "grounds_stated": True,
    "prior_methods": True,
    "exigent": True,
    "lawful_acquisition_attested": True,
    "first_amendment_activity": False,
    "probe_age_days": 0,
    "max_candidates": 2,
    "role": Role.ANALYST,
}


def codes(question: SearchQuestion) -> set[str]:
    return {refusal.code.value for refusal in ENGINE.search_refusals(question)}


@values.PER_TEST
@given(questions, st.integers(0, len(RISING) - 1))
def test_raising_the_basis_never_refuses_and_lowering_it_never_allows(question: SearchQuestion, place: int) -> None:
    higher = RISING[max(place, RISING.index(question.evidentiary_basis))]
    lower = RISING[min(place, RISING.index(question.evidentiary_basis))]
    assert codes(question.model_copy(update={"evidentiary_basis": higher})) <= codes(question)
    assert codes(question.model_copy(update={"evidentiary_basis": lower})) >= codes(question)


@values.PER_TEST
@given(questions, st.sampled_from(sorted(BETTER)))
def test_what_is_put_in_order_is_never_refused_for_it(question: SearchQuestion, word: str) -> None:
    assert codes(question.model_copy(update={word: BETTER[word]})) <= codes(question)


@values.PER_TEST
@given(questions)
def test_a_search_is_sent_only_where_all_of_it_is_in_order(question: SearchQuestion) -> None:
    if not codes(question):
        expected = {word: getattr(question, word) for word in ("training", "enrolled", "case", "role")}
        assert expected == {word: BETTER[word] for word in expected}
        assert question.partner in {"cbp-atsp", "dos-ccd"}
        assert question.requester in BUNDLE.agencies
        assert question.purpose in BUNDLE.purposes
        assert question.purpose not in BUNDLE.civil_purposes
        assert question.prior_methods or question.exigent
        assert question.grounds_stated
        assert question.lawful_acquisition_attested
        assert not question.first_amendment_activity
        assert question.evidentiary_basis is not EvidentiaryBasis.NONE or question.predicate is Predicate.EXIGENT


def test_traitor_a_floor_that_any_basis_meets_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    lenient = search(evidentiary_basis="none")
    assert codes(lenient) == {"basis_below_floor"}
    monkeypatch.setattr(search_matching, "floor_met", lambda _floor, _basis: True)
    assert codes(lenient) == set()
    with pytest.raises(AssertionError):
        test_a_search_is_sent_only_where_all_of_it_is_in_order.hypothesis.inner_test(lenient)  # type: ignore[attr-defined]
