"""Reads the rows of ``searches.csv``, as strictly as the owners' files: they can only accept."""

from collections.abc import Iterable
from typing import Final

from broker.kernel.partner import PartnerEntry
from broker.kernel.words import Predicate
from broker.policy.bundle import SearchRow
from broker.policy.faults import quoted
from broker.policy.matching import ANY, UNDER, WITHIN
from broker.policy.rows import Line, Registers, RowReader
from broker.policy.search_matching import ACCEPTED_WORDS
from broker.policy.search_question import SearchRule

SEARCH_FIELDS: Final = ("rule", "partner", "purpose", "predicate", "accepts")


class SearchRowReader(RowReader):
    """One file; every fault is noted and the row left out."""

    def search_rows(self, text: str, registers: Registers, partners: Iterable[PartnerEntry]) -> tuple[SearchRow, ...]:
        """The rows, after noting each approved partner that a rule lets nobody search."""
        entries = tuple(partners)
        known: set[str] = {entry.id for entry in entries}
        rows: dict[tuple[str, ...], SearchRow] = {}
        for line in self.lines(text, SEARCH_FIELDS):
            row = self._row(line, registers, known)
            if row is not None and self.first(rows, line.values, line.rule):
                rows[line.values] = row
        for entry in entries:
            for rule in SearchRule:
                named = any(row.kind is rule and row.partner in (ANY, entry.id) for row in rows.values())
                if entry.approved and not named and rule is not SearchRule.CIVIL_ENFORCEMENT:
                    reason = f"no row {rule.value!r} is about {entry.id!r}, so no search could be sent to it"
                    self._faults.add(self._file, 0, reason)
        return tuple(rows.values())

    def _row(self, line: Line, registers: Registers, partners: set[str]) -> SearchRow | None:
        rule_word, partner, purpose, predicate, accepts = line.values
        before = len(self._faults)
        rule = self.one_of(line, "rule", SearchRule, rule_word)
        self.known(line, "partner", partner, {ANY, *partners})
        self.tree_word(line, "purpose", purpose, UNDER, registers.purposes)
        self.known(line, "predicate", predicate, {ANY, *Predicate})
        if rule is SearchRule.REQUESTER:
            self.tree_word(line, "requester", accepts, WITHIN, registers.agencies)
        elif rule is not None:
            self.known(line, rule.value, accepts, ACCEPTED_WORDS[rule])
        if rule is SearchRule.CIVIL_ENFORCEMENT and purpose not in registers.civil_purposes:
            self.fault(
                line,
                f"civil enforcement is accepted for a purpose that is flagged so, by its name, not for {quoted(purpose)}",
            )
        if rule is None or len(self._faults) != before:
            return None
        return SearchRow(
            kind=rule, partner=partner, purpose=purpose, predicate=predicate, accepts=accepts, rule=line.rule
        )
