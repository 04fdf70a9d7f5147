"""Reads the rows of ``owners/<AGENCY>.csv`` and ``access.csv``.

Casbin's own reader drops a line that it does not understand, takes a mistyped effect for none, and knows no quoting.
So it never sees the files: each line is checked here, and only checked values reach it.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from broker.kernel.tree import Tree
from broker.kernel.words import Action, ItemKind, Role
from broker.policy.bundle import AccessRow, Effect, Needs, SearchRow, ShareRow
from broker.policy.faults import Faults, hint, quoted
from broker.policy.matching import ANY, UNDER, WITHIN
from broker.policy.question import GRANTING, Act, RuleRef

MAX_ROWS: Final = 200
"""Rows of one file. Casbin's cost is linear in them, and a rule about one item or case is a grant."""
SHARE_FIELDS: Final = ("owner", "recipient", "action", "purpose", "item_kind", "needs", "eft")
ACCESS_FIELDS: Final = ("role", "act")

_VALUE: Final = re.compile(r"[A-Za-z0-9_:-]+\Z")
_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Registers:
    """The ids that a row may name."""

    agencies: Tree
    purposes: Tree
    civil_purposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Line:
    """One row as it is written, split and well-formed."""

    rule: RuleRef
    values: tuple[str, ...]


class RowReader:
    """Reads one file; every fault is noted and the row left out, so a bundle with a fault is never complete."""

    def __init__(self, file: str, faults: Faults) -> None:
        self._file = file
        self._faults = faults

    def share_rows(self, text: str, owner: str, registers: Registers) -> tuple[ShareRow, ...]:
        """The rows of one owner's file; the file's name says whose it is."""
        rows: dict[tuple[str, ...], ShareRow] = {}
        for line in self.lines(text, SHARE_FIELDS):
            row = self._share_row(line, owner, registers)
            # Two rows that differ only in their effect contradict each other; two that do not are one too many.
            if row is not None and self.first(rows, row.fields[:-1], row.rule):
                rows[row.fields[:-1]] = row
        if not rows:
            self._faults.add(self._file, 0, f"there is no row, so nobody could be given anything of {owner}")
        return tuple(rows.values())

    def access_rows(self, text: str) -> tuple[AccessRow, ...]:
        """The rows that say which role may do what at all."""
        rows: dict[tuple[str, ...], AccessRow] = {}
        for line in self.lines(text, ACCESS_FIELDS):
            role = self.one_of(line, "role", Role, line.values[0])
            act = self.one_of(line, "act", Act, line.values[1])
            if role is None or act is None:
                continue
            if role is Role.ADMIN and act in GRANTING:
                self.fault(line, f"an admin may never grant, so not {act.value!r}")
            elif self.first(rows, line.values, line.rule):
                rows[line.values] = AccessRow(role=role, act=act, rule=line.rule)
        if not rows:
            self._faults.add(self._file, 0, "there is no row, so nobody could do anything")
        return tuple(rows.values())

    def lines(self, text: str, fields: tuple[str, ...]) -> Iterator[Line]:
        """The rows that are well-formed, after noting those that are not."""
        found = 0
        for number, content in enumerate(text.split("\n"), start=1):
            stripped = content.strip(" ")
            if not stripped or stripped.startswith("#"):
                continue
            found += 1
            if found > MAX_ROWS:
                self._faults.add(
                    self._file, number, f"more than {MAX_ROWS} rows; what is about single items is a grant"
                )
                return
            line = self._split(number, stripped, fields)
            if line is not None:
                yield line

    def _split(self, number: int, text: str, fields: tuple[str, ...]) -> Line | None:
        kind, *values = (value.strip(" ") for value in text.split(","))
        rule = RuleRef(file=self._file, line=number, text=text)
        line = Line(rule, tuple(values))
        if kind != "p":
            self.fault(line, f"a row starts with 'p', not with {quoted(kind)}")
            return None
        if len(values) != len(fields):
            wanted = ", ".join(fields)
            self.fault(line, f"a row has {len(fields)} fields after 'p' ({wanted}), and this one has {len(values)}")
            return None
        wrong = [reason for name, value in zip(fields, values, strict=True) if (reason := _malformed(name, value))]
        for reason in wrong:
            self.fault(line, reason)
        return None if wrong else line

    def _share_row(self, line: Line, owner: str, registers: Registers) -> ShareRow | None:
        named, recipient, action, purpose, item_kind, needs_word, effect_word = line.values
        before = len(self._faults)
        if named != owner:
            self.fault(line, f"this is {owner}'s file, and the row speaks for {quoted(named)}")
        self.tree_word(line, "recipient", recipient, WITHIN, registers.agencies)
        self.tree_word(line, "purpose", purpose, UNDER, registers.purposes)
        self.known(line, "action", action, {ANY, *Action})
        self.known(line, "item_kind", item_kind, {ANY, *ItemKind})
        needs = self.one_of(line, "needs", Needs, needs_word)
        effect = self.one_of(line, "eft", Effect, effect_word)
        if effect is Effect.DENY and needs not in (None, Needs.NOTHING):
            self.fault(
                line, "a deny row needs 'nothing': what is never passed on is not passed on with permission either"
            )
        if effect is Effect.ALLOW and needs in (Needs.NOTHING, Needs.UNMARKED):
            self._refuse_civil_by_wildcard(line, purpose, needs, registers)
        if needs is Needs.UNMARKED and action != Action.RELEASE.value:
            self.fault(
                line,
                f"a row that needs 'unmarked' is about 'release' alone; whatever an owner's default frees, it frees "
                f"nothing for {quoted(action)}",
            )
        if len(self._faults) != before or needs is None or effect is None:
            return None
        return ShareRow(
            owner=owner,
            recipient=recipient,
            action=action,
            purpose=purpose,
            item_kind=item_kind,
            needs=needs,
            effect=effect,
            rule=line.rule,
        )

    def _refuse_civil_by_wildcard(self, line: Line, purpose: str, needs: Needs, registers: Registers) -> None:
        named = purpose.removeprefix(UNDER)
        if named in registers.civil_purposes:
            return
        for civil in sorted(registers.civil_purposes):
            if purpose == ANY or (purpose.startswith(UNDER) and registers.purposes.within(civil, named)):
                self.fault(
                    line,
                    f"a row that needs {needs} must not reach {civil!r}, which is for civil enforcement only, by "
                    f"{purpose!r}; name the purposes meant",
                )

    def tree_word(self, line: Line, field: str, value: str, prefix: str, tree: Tree) -> None:
        """Note a word that is neither `any` nor in the tree, with or without the prefix."""
        if value != ANY:
            bare = value.removeprefix(prefix)
            self.known(line, field, bare, set(tree), shown=value)

    def one_of(self, line: Line, field: str, words: type[_Word], value: str) -> _Word | None:
        """The word, or None after noting that it is not one of them."""
        return words(value) if self.known(line, field, value, {word.value for word in words}) else None

    def known(self, line: Line, field: str, value: str, known: Collection[str], *, shown: str | None = None) -> bool:
        """Whether the value is known; noted if not."""
        if value in known:
            return True
        self.fault(line, f"unknown {field} {quoted(shown or value)}{hint(value, known)}")
        return False

    def first(
        self, rows: Mapping[tuple[str, ...], ShareRow | AccessRow | SearchRow], key: tuple[str, ...], rule: RuleRef
    ) -> bool:
        """Whether no earlier row says the same; noted if one does."""
        earlier = rows.get(key)
        if earlier is None:
            return True
        self._faults.add(self._file, rule.line, f"line {earlier.rule.line} already says this, or the opposite of it")
        return False

    def fault(self, line: Line, reason: str) -> None:
        """Note what is wrong with a line."""
        self._faults.add(self._file, line.rule.line, reason)


def _malformed(field: str, value: str) -> str | None:
    if not value:
        return f"the field {field} is empty"
    if _VALUE.match(value):
        return None
    if "#" in value:
        return f"the field {field} runs into a comment; a comment stands on a line of its own"
    if "*" in value:
        return f"the field {field} is {quoted(value)}; there is no wildcard, the word is 'any'"
    if any(mark in value for mark in "\"'()[]{}"):
        return f"the field {field} is {quoted(value)}; values are bare words, without quotes or brackets"
    return _look_alike(field, value) or f"the field {field} is {quoted(value)}, which is no single word"


def _look_alike(field: str, value: str) -> str | None:
    foreign = next((character for character in value if not character.isascii()), None)
    if foreign is None:
        return None
    name = unicodedata.name(foreign, "unnamed")
    return f"the field {field} holds U+{ord(foreign):04X} ({name}), which only looks like a plain letter or sign"
