"""Reads ``tests/*_test.yaml`` into cases. A table is written out here: what it does not list is expected to be deny."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import product
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from broker.kernel.ids import AgencyId, PurposeId
from broker.kernel.words import Action, ItemKind, Role
from broker.policy.cases import Answer, DefaultAnswer, DefaultCase, RoleCase, SearchCase, ShareCase, Suite
from broker.policy.faults import Faults, hint, quoted
from broker.policy.question import Act, ShareQuestion, Standing
from broker.policy.registers import PartnerRegister
from broker.policy.rows import Registers
from broker.policy.search_question import SearchQuestion, SearchRefusalCode
from broker.policy.strict_yaml import Document, Path, Plain, fit

MAX_TABLE: Final = 5_000
"""Questions of one table, and of one file."""
_DIMENSIONS: Final = ("recipients", "actions", "purposes", "item_kinds", "standings")

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Words = Annotated[tuple[str, ...], Field(min_length=1)]
_Combination = tuple[str, str, str, str, str]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _ShareEntry(_Entry):
    name: _Name
    question: ShareQuestion
    expect: Answer


class _Cells(_Entry):
    """Some cells of a table; a dimension that is left out means all of the table's."""

    recipients: _Words | None = None
    actions: _Words | None = None
    purposes: _Words | None = None
    item_kinds: _Words | None = None
    standings: _Words | None = None
    answer: Answer


class _Table(_Entry):
    name: _Name
    owner: AgencyId
    recipients: _Words
    actions: _Words
    purposes: _Words
    item_kinds: _Words
    standings: _Words = (Standing.NONE.value,)
    expect: tuple[_Cells, ...] = ()


class _RoleEntry(_Entry):
    act: Act
    allow: tuple[Role, ...] = ()


class _SearchEntry(_Entry):
    name: _Name
    question: SearchQuestion
    refused: tuple[SearchRefusalCode, ...] = ()


class _DefaultEntry(_Entry):
    name: _Name
    owners: _Words
    made: date
    decided: date
    caveats: tuple[str, ...] = ()
    expect: DefaultAnswer


class _SuiteFile(_Entry):
    suite: _Name
    cases: tuple[_ShareEntry, ...] = ()
    tables: tuple[_Table, ...] = ()
    roles: tuple[_RoleEntry, ...] = ()
    searches: tuple[_SearchEntry, ...] = ()
    defaults: tuple[_DefaultEntry, ...] = ()


class SuiteReader:
    """Reads the suites against the registers: an id that does not exist would pass as `deny` for ever."""

    def __init__(self, registers: Registers, partners: PartnerRegister, caveats: Iterable[str], faults: Faults) -> None:
        self._known: Mapping[str, frozenset[str]] = {
            "recipients": frozenset(registers.agencies),
            "actions": frozenset(action.value for action in Action),
            "purposes": frozenset(registers.purposes),
            "item_kinds": frozenset(kind.value for kind in ItemKind),
            "standings": frozenset(standing.value for standing in Standing),
            "partners": frozenset(partners.rules),
            "owners": frozenset(registers.agencies),
            "caveats": frozenset(caveats),
        }
        self._faults = faults

    def suite(self, document: Document) -> Suite | None:
        """The cases of one file, or None after noting what is wrong with it."""
        entry = fit(document, (), _completed(document.value), _SuiteFile, self._faults)
        if entry is None:
            return None
        shares = [
            ShareCase(
                line=document.line_of(("cases", index)), name=case.name, question=case.question, expected=case.expect
            )
            for index, case in enumerate(entry.cases)
        ]
        for index, table in enumerate(entry.tables):
            shares.extend(self._written_out(document, ("tables", index), table))
        for share in shares:
            question = share.question
            self._check(document, share.line, "recipients", question.owner, question.recipient)
            self._check(document, share.line, "purposes", question.purpose)
        roles = tuple(
            RoleCase(line=document.line_of(("roles", index)), act=role.act, allowed=frozenset(role.allow))
            for index, role in enumerate(entry.roles)
        )
        suite = Suite(
            file=document.file,
            title=entry.suite,
            shares=tuple(shares),
            roles=roles,
            searches=tuple(self._searches(document, entry)),
            defaults=tuple(self._defaults(document, entry)),
        )
        if not (suite.shares or suite.roles or suite.searches or suite.defaults):
            self._faults.add(document.file, 1, "the suite asks nothing")
        return suite

    def _searches(self, document: Document, entry: _SuiteFile) -> Iterator[SearchCase]:
        for index, search in enumerate(entry.searches):
            line = document.line_of(("searches", index))
            self._check(document, line, "partners", search.question.partner)
            self._check(document, line, "purposes", search.question.purpose)
            question = search.question
            if question.approved is None:
                # A case tries rules. Else a partner could not be switched off without changing the cases about it.
                question = question.model_copy(update={"approved": True})
            yield SearchCase(line=line, name=search.name, question=question, expected=frozenset(search.refused))

    def _defaults(self, document: Document, entry: _SuiteFile) -> Iterator[DefaultCase]:
        for index, default in enumerate(entry.defaults):
            line = document.line_of(("defaults", index))
            self._check(document, line, "owners", *default.owners)
            self._check(document, line, "caveats", *default.caveats)
            for owner in default.owners:
                yield DefaultCase(
                    line=line,
                    name=default.name,
                    owner=AgencyId(owner),
                    made=default.made,
                    decided=default.decided,
                    caveats=default.caveats,
                    expected=default.expect,
                )

    def _written_out(self, document: Document, path: Path, table: _Table) -> Iterator[ShareCase]:
        line = document.line_of(path)
        dimensions = [self._dimension(document, path, table, name) for name in _DIMENSIONS]
        size = 1
        for dimension in dimensions:
            size *= len(dimension)
        if size > MAX_TABLE:
            self._faults.add(document.file, line, f"the table asks {size} questions; {MAX_TABLE} is the most")
            return
        answers = self._answers(document, path, table)
        for cell in product(*dimensions):
            answer_line, answer = answers.get(cell, (line, Answer.DENY))
            recipient, action, purpose, item_kind, standing = cell
            yield ShareCase(
                line=answer_line,
                name=f"{table.name}: {recipient} {action} {purpose} {item_kind} with {standing}",
                question=ShareQuestion(
                    owner=table.owner,
                    recipient=AgencyId(recipient),
                    action=Action(action),
                    purpose=PurposeId(purpose),
                    item_kind=ItemKind(item_kind),
                    standing=Standing(standing),
                ),
                expected=answer,
            )

    def _answers(self, document: Document, path: Path, table: _Table) -> dict[tuple[str, ...], tuple[int, Answer]]:
        answers: dict[tuple[str, ...], tuple[int, Answer]] = {}
        for index, cells in enumerate(table.expect):
            line = document.line_of((*path, "expect", index))
            chosen = []
            for name in _DIMENSIONS:
                whole: tuple[str, ...] = getattr(table, name)
                part: tuple[str, ...] = getattr(cells, name) or whole
                for word in part:
                    if word not in whole:
                        reason = f"{quoted(word)} is not among the {name} of the table{hint(word, whole)}"
                        self._faults.add(document.file, line, reason)
                chosen.append(part)
            for cell in product(*chosen):
                if answers.setdefault(cell, (line, cells.answer))[1] is not cells.answer:
                    other = answers[cell][0]
                    self._faults.add(document.file, line, f"another answer for {' '.join(cell)} stands on line {other}")
        return answers

    def _dimension(self, document: Document, path: Path, table: _Table, name: str) -> tuple[str, ...]:
        words: tuple[str, ...] = getattr(table, name)
        line = document.line_of((*path, name))
        if len(set(words)) != len(words):
            self._faults.add(document.file, line, f"a word stands twice among the {name}")
        return tuple(word for word in words if self._check(document, line, name, word))

    def _check(self, document: Document, line: int, name: str, *words: str) -> bool:
        known = self._known[name]
        for word in words:
            if word not in known:
                self._faults.add(document.file, line, f"unknown {name[:-1]} {quoted(word)}{hint(word, known)}")
        return all(word in known for word in words)


def _completed(value: Plain) -> Plain:
    """The file with its questions about searches written out: what one leaves unsaid stands under `in_order`."""
    if not isinstance(value, dict) or not isinstance(in_order := value.get("in_order"), dict):
        return value
    searches = value.get("searches")
    whole: dict[str, Plain] = {key: part for key, part in value.items() if key != "in_order"}
    if isinstance(searches, list):
        whole["searches"] = [_with_rest(search, in_order) for search in searches]
    return whole


def _with_rest(search: Plain, in_order: dict[str, Plain]) -> Plain:
    if not isinstance(search, dict):
        return search
    question = search.get("question", {})
    return {**search, "question": {**in_order, **question}} if isinstance(question, dict) else search
