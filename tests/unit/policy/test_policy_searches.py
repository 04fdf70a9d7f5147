"""Whether a search may go to a partner: each rule by itself, all of them at once, and what its rows may say."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from broker.kernel.errors import ConfigurationError
from broker.policy import search_engine, search_matching
from broker.policy.bundle import PolicyBundle
from broker.policy.casbin_port import RowEngine
from broker.policy.engine import PolicyEngine
from broker.policy.faults import PolicyInvalid
from broker.policy.question import Allowed, PolicyEngineFailure, Verdict
from broker.policy.search_facts import agreement_state
from broker.policy.search_question import (
    AgreementState,
    SearchQuestion,
    SearchRefusalCode,
    SearchRule,
)
from broker.policy.search_words import CODES, detail_of
from broker.policy.source import from_files
from tests.support.policy_files import appended, edited, faults_of, lean, shipped
from tests.support.search_questions import search

CIVIL = "civil_immigration_enforcement"
RULES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "R1 role": ({"role": "reviewer"}, {"role_may_not_search"}),
    "R1 training": ({"training": "lapsed"}, {"training_lapsed"}),
    "R1 enrolment": ({"enrolled": "no"}, {"not_enrolled"}),
    "R1 component": ({"requester": "ICE-HSI-EVIL"}, {"requester_not_accepted"}),
    "R2 case": ({"case": "closed"}, {"case_not_open"}),
    "R3 basis": ({"evidentiary_basis": "none"}, {"basis_below_floor"}),
    "R3 in words": ({"grounds_stated": False}, {"grounds_not_stated"}),
    "R4 civil": ({"purpose": CIVIL}, {"purpose_not_agreed", "civil_enforcement_only"}),
    "R5 kind": ({"probe_kind": "composite"}, {"probe_kind_not_agreed"}),
    "R5 age": ({"probe_age_days": 3651}, {"probe_too_old"}),
    "R5 lawful": ({"lawful_acquisition_attested": False}, {"lawful_acquisition_not_attested"}),
    "R5 protected": ({"first_amendment_activity": True}, {"first_amendment_activity"}),
    "R6 means": ({"prior_methods": False}, {"prior_methods_missing"}),
    "R7 candidates": ({"max_candidates": 51}, {"too_many_candidates"}),
    "R19 agreement": ({"agreement": "out_of_force"}, {"agreement_out_of_force"}),
}


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return from_files(lean(shipped()))


@pytest.fixture(scope="module")
def engine(bundle: PolicyBundle) -> PolicyEngine:
    return PolicyEngine(bundle)


def codes(engine: PolicyEngine, question: SearchQuestion) -> set[str]:
    return {refusal.code.value for refusal in engine.search_refusals(question)}


def test_a_search_that_is_in_order_may_be_sent(engine: PolicyEngine) -> None:
    for partner in ("cbp-atsp", "dos-ccd"):
        assert engine.search_refusals(search(partner=partner)) == ()


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_refuses_by_itself_with_its_line_and_in_words(engine: PolicyEngine, rule: str) -> None:
    changes, expected = RULES[rule]
    question = search(**changes)
    refusals = engine.search_refusals(question)
    assert {refusal.code.value for refusal in refusals} == expected
    for refusal in refusals:
        assert refusal.detail
        assert "{" not in refusal.detail
        # What no row accepts has no line; neither has the role, of which access.csv holds no row.
        if refusal.code.value not in {"civil_enforcement_only", "role_may_not_search"}:
            assert refusal.rule is not None
            assert refusal.rule.file in {"partners.yaml", "searches.csv"}


def test_where_no_row_speaks_of_such_a_search_no_floor_is_named(engine: PolicyEngine) -> None:
    asked = search(partner="contractor-checkin", predicate="assessment", evidentiary_basis="court_order")
    (refusal,) = (one for one in engine.search_refusals(asked) if one.code is SearchRefusalCode.BASIS_BELOW_FLOOR)
    assert refusal.rule is None
    assert refusal.detail == (
        "no row 'basis' of searches.csv is about a search of contractor-checkin for criminal_investigation "
        "under the predicate assessment"
    )


def test_everything_that_is_wrong_is_said_at_once(engine: PolicyEngine) -> None:
    everything: dict[str, Any] = {}
    expected: set[str] = set()
    for changes, said in RULES.values():
        everything |= changes
        expected |= said
    assert codes(engine, search(**everything)) == expected


def test_every_reason_has_words(engine: PolicyEngine) -> None:
    for code in SearchRefusalCode:
        assert detail_of(code, search()).strip()
    assert set(CODES) == set(SearchRule)


def test_a_partner_that_is_unknown_or_not_approved_is_not_searched() -> None:
    engine = PolicyEngine(from_files(lean(edited("partners.yaml", "approved: true", "approved: false"))))
    assert codes(engine, search(partner="cbp-atsp")) == {"partner_not_approved"}
    assert codes(engine, search(partner="cbp-atsp", approved=True)) == set()
    assert codes(engine, search(partner="dos-ccd", approved=False)) == {"partner_not_approved"}
    for partner in ("dos_ccd", "DOS-CCD", "", "any", "*"):
        assert "partner_unknown" in codes(engine, search(partner=partner))


def test_a_purpose_below_an_agreed_one_is_not_agreed_by_itself() -> None:
    files = edited(
        "partners.yaml", "purposes: [criminal_investigation, threat_to_life,", "purposes: [criminal_investigation,"
    )
    engine = PolicyEngine(from_files(lean(files)))
    assert codes(engine, search(partner="cbp-atsp", purpose="threat_to_life")) == {"purpose_not_agreed"}


def test_civil_enforcement_takes_both_the_agreement_and_a_row_that_names_it() -> None:
    row = f"p, civil_enforcement, cbp-atsp, {CIVIL}, any, accepted"
    agreed = edited("partners.yaml", "deceased_identification]", f"deceased_identification, {CIVIL}]")
    engine = PolicyEngine(from_files(lean(agreed)))
    assert codes(engine, search(partner="cbp-atsp", purpose=CIVIL)) == {"civil_enforcement_only"}
    engine = PolicyEngine(from_files(lean(appended("searches.csv", row))))
    assert codes(engine, search(partner="cbp-atsp", purpose=CIVIL)) == {"purpose_not_agreed"}
    agreed["searches.csv"] += f"{row}\n".encode()
    engine = PolicyEngine(from_files(lean(agreed)))
    assert codes(engine, search(partner="cbp-atsp", purpose=CIVIL)) == set()
    assert "civil_enforcement_only" in codes(engine, search(purpose=CIVIL))


def test_edits_and_age_are_what_the_agreement_says() -> None:
    files = edited("partners.yaml", "probe_max_age_days: 3650", "probe_edits: [cropped, rotated]")
    engine = PolicyEngine(from_files(lean(files)))
    for edits, refused in {
        (): False,
        ("cropped",): False,
        ("cropped", "eyes opened"): True,
        ("Cropped",): True,
    }.items():
        asked = search(partner="cbp-atsp", edits=edits, probe_age_days=36_000)
        assert codes(engine, asked) == ({"edit_not_agreed"} if refused else set())


def test_both_days_of_an_agreement_count(bundle: PolicyBundle) -> None:
    agreement = bundle.partners[0].agreement
    for day, state in {
        date(2019, 12, 31): AgreementState.OUT_OF_FORCE,
        date(2020, 1, 1): AgreementState.IN_FORCE,
        date(2035, 12, 31): AgreementState.IN_FORCE,
        date(2036, 1, 1): AgreementState.OUT_OF_FORCE,
    }.items():
        assert agreement_state(agreement, day) is state


def test_a_rule_without_a_row_refuses_everybody(bundle: PolicyBundle) -> None:
    files = edited("searches.csv", "p, training, any, any, any, valid\n", "")
    assert faults_of(lean(files)) == [
        f"searches.csv:0: no row 'training' is about {partner!r}, so no search could be sent to it"
        for partner in [entry.id for entry in bundle.partners]
    ]
    # A partner that is not approved needs none; then the rule has no row at all, and accepts nothing.
    files["partners.yaml"] = files["partners.yaml"].replace(b"approved: true", b"approved: false")
    engine = PolicyEngine(from_files(lean(files)))
    assert codes(engine, search()) == {"partner_not_approved", "training_lapsed"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("p, basis, dos-ccd, any, any, suspicion", "unknown basis 'suspicion'"),
        ("p, basis, dos, any, any, none", "unknown partner 'dos'; did you mean 'dos-ccd'?"),
        ("p, bases, dos-ccd, any, any, none", "unknown rule 'bases'; did you mean 'basis'?"),
        ("p, basis, dos-ccd, crime, any, none", "unknown purpose 'crime'"),
        ("p, basis, dos-ccd, any, urgent, none", "unknown predicate 'urgent'"),
        ("p, basis, dos-ccd, any, none", "a row has 5 fields after 'p'"),
        ("p, training, dos-ccd, any, any, lapsed", "unknown training 'lapsed'"),
        ("p, prior_methods, dos-ccd, any, any, none", "unknown prior_methods 'none'"),
        ("p, requester, dos-ccd, any, any, within:ICE-HIS", "unknown requester 'within:ICE-HIS'"),
        ("p, civil_enforcement, dos-ccd, any, any, accepted", "flagged so, by its name, not for 'any'"),
        ("p, civil_enforcement, dos-ccd, criminal_investigation, any, accepted", "flagged so, by its name"),
        ("p, basis, *, any, any, none", "there is no wildcard"),
        ("p, training, any, any, any, valid", "line 6 already says this"),
    ],
)
def test_rows_that_are_not_understood_are_not_read(row: str, reason: str) -> None:
    faults = faults_of(lean(appended("searches.csv", row)))
    assert len(faults) == 1
    assert faults[0].startswith("searches.csv:")
    assert reason in faults[0]


def test_a_disagreement_with_casbin_is_believed_by_nobody(
    bundle: PolicyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = PolicyEngine(bundle)
    for wrong, asked in ((True, search(training="lapsed")), (False, search())):
        monkeypatch.setattr(RowEngine, "allows", lambda _self, *_, wrong=wrong: wrong)
        monkeypatch.setattr(PolicyEngine, "ask_role", lambda *_: Allowed(rule=bundle.access_rows[0].rule))
        with pytest.raises(PolicyEngineFailure, match="contradicts"):
            engine.search_refusals(asked)


# --- Traitors.


def all_floors(engine: PolicyEngine) -> Iterator[tuple[str, bool]]:
    for basis in ("none", "articulable_lead", "reasonable_suspicion", "probable_cause", "court_order"):
        for predicate in ("investigation", "assessment"):
            asked = search(evidentiary_basis=basis, predicate=predicate)
            yield f"{basis} {predicate}", "basis_below_floor" in codes(engine, asked)


FLOORS = {
    "none investigation",
    "none assessment",
    "articulable_lead assessment",
}


def test_the_floors_as_shipped(engine: PolicyEngine) -> None:
    assert {asked for asked, refused in all_floors(engine) if refused} == FLOORS


def test_traitor_a_floor_compared_as_strings_is_caught(bundle: PolicyBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the alphabet `none` stands above `articulable_lead`, and a court order below."""
    engine = PolicyEngine(bundle)
    monkeypatch.setattr(search_matching, "floor_met", lambda floor, basis: basis >= floor)
    assert {asked for asked, refused in all_floors(engine) if refused} != FLOORS
    # And no such engine is built: a word that is no basis would stand above some floor.
    with pytest.raises(PolicyInvalid, match="makes no sense"):
        PolicyEngine(bundle)


def test_traitor_a_reason_dropped_is_caught(bundle: PolicyBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = search_engine.SearchEngine.verdicts

    def first_only(self: Any, question: SearchQuestion) -> Iterator[tuple[SearchRule, Verdict]]:
        for rule, verdict in honest(self, question):
            yield rule, verdict
            if not verdict:
                return

    monkeypatch.setattr(search_engine.SearchEngine, "verdicts", first_only)
    with pytest.raises(AssertionError):
        test_everything_that_is_wrong_is_said_at_once(PolicyEngine(bundle))


def test_traitor_a_matcher_that_forgets_what_is_accepted_is_not_built(bundle: PolicyBundle) -> None:
    from dataclasses import replace

    matcher = bundle.model["m3"].replace("accepted(p3.rule, p3.accepts, r3.said)", "r3.rule == p3.rule")
    with pytest.raises(ConfigurationError):
        PolicyEngine(replace(bundle, model={**bundle.model, "m3": matcher}))
