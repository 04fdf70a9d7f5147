"""May this search go to this partner? Every rule is asked, and every reason against is collected with its line.

Casbin is asked one question for each rule of ``searches.csv``, from that rule's rows; what is a fact of the agreement
stands in ``partners.yaml`` and is compared plainly.
"""

from collections.abc import Iterator
from types import MappingProxyType

from broker.policy import search_facts
from broker.policy.bundle import PolicyBundle
from broker.policy.casbin_port import Function, RowEngine
from broker.policy.matching import same_or_any
from broker.policy.question import PolicyEngineFailure, Refused, RuleRef, Verdict
from broker.policy.search_matching import SearchMatching, words
from broker.policy.search_question import SearchQuestion, SearchRefusal, SearchRefusalCode, SearchRule
from broker.policy.search_words import CODES, detail_of, without_row


class SearchEngine:
    """The rules of searching of one bundle; immutable, and asked from any thread."""

    def __init__(self, bundle: PolicyBundle) -> None:
        """Raises what Casbin raises when the rows cannot be built."""
        self._partners = MappingProxyType({entry.id: entry for entry in bundle.partners})
        self._lines = bundle.partner_rules
        self._civil = bundle.civil_purposes
        self.matching = SearchMatching(bundle.agencies, bundle.purposes)
        functions: dict[str, Function] = {
            "same_or_any": same_or_any,
            "purpose_reached": self.matching.purpose_reached,
            "accepted": self.matching.accepted,
        }
        self._rows = MappingProxyType(
            {rule: tuple(row for row in bundle.search_rows if row.kind is rule) for rule in SearchRule}
        )
        self._engines = MappingProxyType(
            {
                rule: RowEngine(bundle.model, [row.fields for row in rows], functions, suffix="3")
                for rule, rows in self._rows.items()
                if rows
            }
        )

    def refusals(self, question: SearchQuestion, may_search: Verdict) -> tuple[SearchRefusal, ...]:
        """Every reason against; *may_search* is what the role's rows say. Raises PolicyEngineFailure."""
        found = list(search_facts.refusals(question, self._partners.get(question.partner), self._line(question)))
        if not may_search:
            found.append(self._refusal(question, SearchRefusalCode.ROLE_MAY_NOT_SEARCH, None))
        found += [self._unaccepted(question, rule, verdict) for rule, verdict in self.verdicts(question) if not verdict]
        return tuple(found)

    def verdicts(self, question: SearchQuestion) -> Iterator[tuple[SearchRule, Verdict]]:
        """What each rule says, with the row that accepts, or the one that speaks of such a search and does not."""
        for rule in SearchRule:
            if rule is not SearchRule.CIVIL_ENFORCEMENT or question.purpose in self._civil:
                yield rule, self._verdict(question, rule)

    def casbin_allows(self, rule: SearchRule, partner: str, purpose: str, predicate: str, said: str) -> bool:
        """Casbin alone, unexplained. A rule without a row accepts nothing, and Casbin is not asked."""
        engine = self._engines.get(rule)
        if engine is None:
            return False
        return engine.allows(rule.value, partner, purpose, predicate, said)

    def _verdict(self, question: SearchQuestion, rule: SearchRule) -> Verdict:
        if question.partner not in self._partners:
            return Refused(rule=None)
        try:
            asked = (question.partner, question.purpose, question.predicate.value, words(question)[rule])
            allowed = self.casbin_allows(rule, *asked)
            verdict = self.matching.explain(self._rows[rule], question, rule)
        except Exception as broken:
            raise PolicyEngineFailure("the policy engine could not answer") from broken
        if allowed is not bool(verdict):
            raise PolicyEngineFailure("the policy engine contradicts the rows it was given")
        return verdict

    def _unaccepted(self, question: SearchQuestion, rule: SearchRule, verdict: Verdict) -> SearchRefusal:
        refusal = self._refusal(question, CODES[rule], verdict.rule)
        # Civil enforcement has no row as a rule, and its words say so; of a stranger there is nothing to say.
        unsaid = (
            verdict.rule is None and rule is not SearchRule.CIVIL_ENFORCEMENT and question.partner in self._partners
        )
        return refusal.model_copy(update={"detail": without_row(rule, question)}) if unsaid else refusal

    def _line(self, question: SearchQuestion) -> RuleRef | None:
        return self._lines.get(question.partner)

    def _refusal(self, question: SearchQuestion, code: SearchRefusalCode, rule: RuleRef | None) -> SearchRefusal:
        return SearchRefusal(code=code, rule=rule, detail=detail_of(code, question))
