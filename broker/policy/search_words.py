"""Each reason against a search in plain words, for the analyst who asked and for whoever counts them."""

from collections.abc import Mapping
from typing import Final

from broker.policy.search_question import SearchQuestion, SearchRefusalCode, SearchRule

CODES: Final[Mapping[SearchRule, SearchRefusalCode]] = {
    SearchRule.REQUESTER: SearchRefusalCode.REQUESTER_NOT_ACCEPTED,
    SearchRule.TRAINING: SearchRefusalCode.TRAINING_LAPSED,
    SearchRule.ENROLMENT: SearchRefusalCode.NOT_ENROLLED,
    SearchRule.CASE: SearchRefusalCode.CASE_NOT_OPEN,
    SearchRule.PREDICATE: SearchRefusalCode.PREDICATE_NOT_ACCEPTED,
    SearchRule.BASIS: SearchRefusalCode.BASIS_BELOW_FLOOR,
    SearchRule.GROUNDS: SearchRefusalCode.GROUNDS_NOT_STATED,
    SearchRule.CIVIL_ENFORCEMENT: SearchRefusalCode.CIVIL_ENFORCEMENT_ONLY,
    SearchRule.PRIOR_METHODS: SearchRefusalCode.PRIOR_METHODS_MISSING,
    SearchRule.LAWFUL_ACQUISITION: SearchRefusalCode.LAWFUL_ACQUISITION_NOT_ATTESTED,
    SearchRule.PROTECTED_ACTIVITY: SearchRefusalCode.FIRST_AMENDMENT_ACTIVITY,
}

_WORDS: Final[Mapping[SearchRefusalCode, str]] = {
    SearchRefusalCode.PARTNER_UNKNOWN: "no partner of the register is called {partner}",
    SearchRefusalCode.PARTNER_NOT_APPROVED: "{partner} is not approved for searches",
    SearchRefusalCode.AGREEMENT_OUT_OF_FORCE: "the agreement with {partner} is not in force on this day",
    SearchRefusalCode.PURPOSE_NOT_AGREED: "the agreement with {partner} does not name the purpose {purpose}",
    SearchRefusalCode.PROBE_KIND_NOT_AGREED: "the agreement with {partner} does not name probes of the kind {probe_kind}",
    SearchRefusalCode.PROBE_TOO_OLD: "the probe was acquired longer ago than {partner} accepts",
    SearchRefusalCode.EDIT_NOT_AGREED: "the probe was edited in a way that {partner} does not accept",
    SearchRefusalCode.TOO_MANY_CANDIDATES: "{max_candidates} candidates are more than {partner} returns",
    SearchRefusalCode.ROLE_MAY_NOT_SEARCH: "the role {role} does not search",
    SearchRefusalCode.REQUESTER_NOT_ACCEPTED: "the requesting component may not search {partner}",
    SearchRefusalCode.TRAINING_LAPSED: "the training was not valid on the day of the search",
    SearchRefusalCode.NOT_ENROLLED: "the caller is not enrolled for {partner}",
    SearchRefusalCode.CASE_NOT_OPEN: "the case is not open any more",
    SearchRefusalCode.PREDICATE_NOT_ACCEPTED: "{partner} accepts no search for {purpose} under the predicate {predicate}",
    SearchRefusalCode.BASIS_BELOW_FLOOR: "the evidentiary basis {evidentiary_basis} is below what {partner} asks for",
    SearchRefusalCode.GROUNDS_NOT_STATED: "the statute or the basis is not given in words",
    SearchRefusalCode.CIVIL_ENFORCEMENT_ONLY: "{partner} has not accepted searches for civil enforcement alone",
    SearchRefusalCode.PRIOR_METHODS_MISSING: "no less intrusive means is named that was tried first",
    SearchRefusalCode.LAWFUL_ACQUISITION_NOT_ATTESTED: "nobody attests that the probe was acquired lawfully",
    SearchRefusalCode.FIRST_AMENDMENT_ACTIVITY: "the probe is of activity that the First Amendment protects",
    SearchRefusalCode.PARTICIPANT_MISSING: "{partner} verifies one enrolled participant, and none is named",
    SearchRefusalCode.PARTICIPANT_UNKNOWN: "the component has no such participant in the programme of {partner}",
    SearchRefusalCode.PARTICIPANT_NOT_TAKEN: "{partner} is not asked about participants",
    SearchRefusalCode.TERMS_NOT_ACCEPTED: "no acceptance of the terms of use in force is on record",
    SearchRefusalCode.ENGINE_FAILURE: "the rules could not be asked; the operators have been alerted",
}


def without_row(rule: SearchRule, question: SearchQuestion) -> str:
    """That nothing is said of such a search, where `detail_of` would speak of a floor or a bound that there is not."""
    return (
        f"no row {rule.value!r} of searches.csv is about a search of {question.partner} for {question.purpose} "
        f"under the predicate {question.predicate.value}"
    )


def detail_of(code: SearchRefusalCode, question: SearchQuestion) -> str:
    """The reason in words. Of the question only closed words go into it, never what somebody wrote."""
    return _WORDS[code].format_map(question.model_dump(mode="json", exclude={"edits"}))
