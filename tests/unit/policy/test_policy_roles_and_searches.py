"""What a role may do at all, and whether a search may go to a partner."""

from datetime import date

import pytest

from broker.kernel.words import EvidentiaryBasis, Predicate, ProbeKind, Role
from broker.policy.bundle import PolicyBundle
from broker.policy.engine import PolicyEngine
from broker.policy.question import (
    Act,
    AgreementState,
    Enrolment,
    RoleQuestion,
    SearchQuestion,
    SearchRefusalCode,
    Training,
)
from broker.policy.search_rules import agreement_state
from broker.policy.source import from_files
from tests.support.policy_files import edited, shipped


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return from_files(shipped())


@pytest.fixture(scope="module")
def engine(bundle: PolicyBundle) -> PolicyEngine:
    return PolicyEngine(bundle)


def test_a_role_may_do_what_its_rows_say_and_nothing_else(bundle: PolicyBundle, engine: PolicyEngine) -> None:
    allowed = {(row.role, row.act) for row in bundle.access_rows}
    for role in Role:
        for act in Act:
            verdict = engine.ask_role(RoleQuestion(role=role, act=act))
            assert bool(verdict) is ((role, act) in allowed)
    assert not {act for role, act in allowed if role is Role.ADMIN} & {
        Act.GRANT_RECORD,
        Act.GRANT_CONFIRM,
        Act.GRANT_REVOKE,
    }


def search(**words: object) -> SearchQuestion:
    base = {
        "partner": "dos-ccd",
        "role": Role.ANALYST,
        "purpose": "criminal_investigation",
        "predicate": Predicate.INVESTIGATION,
        "evidentiary_basis": EvidentiaryBasis.ARTICULABLE_LEAD,
        "probe_kind": ProbeKind.PHOTO,
        "training": Training.VALID,
        "enrolled": Enrolment.YES,
        "agreement": AgreementState.IN_FORCE,
    }
    return SearchQuestion.model_validate(base | words)


def test_a_search_is_refused_for_every_reason_at_once(engine: PolicyEngine) -> None:
    assert engine.search_refusals(search()) == ()
    everything = search(
        role=Role.REVIEWER,
        purpose="civil_immigration_enforcement",
        probe_kind=ProbeKind.SKETCH,
        training=Training.LAPSED,
        enrolled=Enrolment.NO,
        agreement=AgreementState.OUT_OF_FORCE,
    )
    refusals = engine.search_refusals(everything)
    assert {refusal.code for refusal in refusals} == set(SearchRefusalCode) - {
        SearchRefusalCode.PARTNER_UNKNOWN,
        SearchRefusalCode.PARTNER_NOT_APPROVED,
    }
    rules = {str(refusal.rule) for refusal in refusals if refusal.rule}
    line = shipped()["partners.yaml"].decode().split("\n").index("- id: dos-ccd") + 1
    assert rules == {f"partners.yaml:{line}"}


def test_a_partner_that_is_unknown_or_not_approved_is_not_searched() -> None:
    engine = PolicyEngine(from_files(edited("partners.yaml", "approved: true", "approved: false")))
    assert [one.code for one in engine.search_refusals(search(partner="cbp-atsp"))] == [
        SearchRefusalCode.PARTNER_NOT_APPROVED
    ]
    assert [one.code for one in engine.search_refusals(search(partner="dos_ccd"))] == [
        SearchRefusalCode.PARTNER_UNKNOWN
    ]


def test_a_purpose_below_an_agreed_one_is_not_agreed_by_itself() -> None:
    files = edited(
        "partners.yaml", "purposes: [criminal_investigation, threat_to_life,", "purposes: [criminal_investigation,"
    )
    engine = PolicyEngine(from_files(files))
    codes = [one.code for one in engine.search_refusals(search(partner="cbp-atsp", purpose="threat_to_life"))]
    assert codes == [SearchRefusalCode.PURPOSE_NOT_AGREED]


def test_both_days_of_an_agreement_count(bundle: PolicyBundle) -> None:
    agreement = bundle.partners[0].agreement
    for day, state in {
        date(2019, 12, 31): AgreementState.OUT_OF_FORCE,
        date(2020, 1, 1): AgreementState.IN_FORCE,
        date(2035, 12, 31): AgreementState.IN_FORCE,
        date(2036, 1, 1): AgreementState.OUT_OF_FORCE,
    }.items():
        assert agreement_state(agreement, day) is state
