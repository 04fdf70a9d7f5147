"""What the rows of ``searches.csv`` mean, read plainly: the functions that the engine registers, and the walk beside it."""

from collections.abc import Iterable, Mapping
from typing import Final

from broker.kernel.tree import Tree
from broker.kernel.words import EvidentiaryBasis, Predicate
from broker.policy.bundle import SearchRow
from broker.policy.matching import ANY, UNDER, WITHIN, reaches, same_or_any
from broker.policy.question import Allowed, Refused, Verdict
from broker.policy.search_question import CaseState, Enrolment, SearchQuestion, SearchRule, Training

_RISING: Final = tuple(basis.value for basis in EvidentiaryBasis)

ACCEPTED_WORDS: Final = {
    SearchRule.TRAINING: ("valid",),
    SearchRule.ENROLMENT: ("enrolled",),
    SearchRule.CASE: ("open",),
    SearchRule.PREDICATE: (ANY, *(predicate.value for predicate in Predicate)),
    SearchRule.BASIS: _RISING,
    SearchRule.GROUNDS: ("stated",),
    SearchRule.CIVIL_ENFORCEMENT: ("accepted",),
    SearchRule.PRIOR_METHODS: ("tried", "tried_or_exigent"),
    SearchRule.LAWFUL_ACQUISITION: ("attested",),
    SearchRule.PROTECTED_ACTIVITY: ("none",),
}
"""What a row may accept, for each rule but `requester`, which accepts agencies."""


def floor_met(floor: str, basis: str) -> bool:
    """Whether *basis* is the floor or stands above it. A word that is no basis meets nothing and is met by nothing."""
    return floor in _RISING and basis in _RISING and _RISING.index(basis) >= _RISING.index(floor)


def words(question: SearchQuestion) -> Mapping[SearchRule, str]:
    """What the search says to each rule, in one word."""
    tried = "tried" if question.prior_methods else "exigent" if question.exigent else "untried"
    return {
        SearchRule.REQUESTER: question.requester,
        SearchRule.TRAINING: "valid" if question.training is Training.VALID else "lapsed",
        SearchRule.ENROLMENT: "enrolled" if question.enrolled is Enrolment.YES else "not_enrolled",
        SearchRule.CASE: "open" if question.case is CaseState.OPEN else "closed",
        SearchRule.PREDICATE: question.predicate.value,
        SearchRule.BASIS: question.evidentiary_basis.value,
        SearchRule.GROUNDS: "stated" if question.grounds_stated else "missing",
        SearchRule.CIVIL_ENFORCEMENT: "accepted",
        SearchRule.PRIOR_METHODS: tried,
        SearchRule.LAWFUL_ACQUISITION: "attested" if question.lawful_acquisition_attested else "not_attested",
        SearchRule.PROTECTED_ACTIVITY: "involved" if question.first_amendment_activity else "none",
    }


class SearchMatching:
    """Rows walked one by one, without Casbin: it explains what Casbin decided, and the two must agree."""

    def __init__(self, agencies: Tree, purposes: Tree) -> None:
        self._agency_reached = reaches(agencies, WITHIN)
        self.purpose_reached = reaches(purposes, UNDER)

    def accepted(self, rule: str, accepts: str, word: str) -> bool:
        """Whether a row of *rule* that accepts this accepts the word. Whole words only; a rule nobody knows, nothing."""
        if rule == SearchRule.REQUESTER.value:
            return self._agency_reached(accepts, word)
        if rule == SearchRule.BASIS.value:
            return floor_met(accepts, word)
        if rule == SearchRule.PREDICATE.value:
            return word in ACCEPTED_WORDS[SearchRule.PREDICATE][1:] and same_or_any(accepts, word)
        if rule == SearchRule.PRIOR_METHODS.value and accepts == "tried_or_exigent":
            return word in ("tried", "exigent")
        return accepts == word

    def reached(self, row: SearchRow, question: SearchQuestion) -> bool:
        """Whether the row speaks of such a search at all, whatever it accepts."""
        return (
            same_or_any(row.partner, question.partner)
            and self.purpose_reached(row.purpose, question.purpose)
            and same_or_any(row.predicate, question.predicate.value)
        )

    def explain(self, rows: Iterable[SearchRow], question: SearchQuestion, rule: SearchRule) -> Verdict:
        """The first row that accepts; else a refusal, with the first row that speaks of such a search, if one does."""
        word = words(question)[rule]
        nearest: SearchRow | None = None
        for row in rows:
            if row.kind is rule and self.reached(row, question):
                if self.accepted(rule.value, row.accepts, word):
                    return Allowed(rule=row.rule)
                nearest = nearest or row
        return Refused(rule=nearest.rule if nearest else None)
