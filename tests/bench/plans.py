"""How PostgreSQL answers what a decision really asks: the statements are caught on their way, none is copied here."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True)
class Statement:
    """One statement as it went to the driver."""

    text: str
    parameters: Any

    @property
    def reads(self) -> bool:
        """Whether there is a plan to look at, rather than a call of the clock or a write."""
        words = self.text.upper().replace("(", " ").split()
        return "FROM" in words and words[0] in {"SELECT", "WITH"}


@dataclass(frozen=True)
class Plan:
    """What one statement does to the tables."""

    statement: str
    scans: tuple[str, ...]
    """`Node Type:table[:index]` of each scan."""
    cost: float
    milliseconds: float | None

    def whole_tables(self, tables: tuple[str, ...]) -> list[str]:
        """Those of *tables* that are read from end to end."""
        return [scan for scan in self.scans if scan.startswith("Seq Scan:") and scan.split(":")[1] in tables]


@contextmanager
def caught() -> Iterator[list[Statement]]:
    """The statements that go to the driver inside the block, whoever sends them, each wording once."""
    found: dict[str, Statement] = {}
    original = psycopg.AsyncCursor.execute

    async def listening(cursor: Any, query: Any, parameters: Any = None, **options: Any) -> Any:
        text = query.decode() if isinstance(query, bytes) else str(query)
        found.setdefault(text, Statement(text, parameters))
        statements[:] = found.values()
        return await original(cursor, query, parameters, **options)

    statements: list[Statement] = []
    psycopg.AsyncCursor.execute = listening
    try:
        yield statements
    finally:
        psycopg.AsyncCursor.execute = original


def plan(connection: "psycopg.Connection[Any]", statement: Statement) -> Plan:
    """The plan for these very values, carried out; the caller rolls back."""
    options = "ANALYZE, TIMING OFF, FORMAT JSON"
    row = connection.execute(f"EXPLAIN ({options}) {statement.text}", statement.parameters).fetchone()
    return _plan(statement, row[0][0])


def generic_plan(connection: "psycopg.Connection[Any]", statement: Statement) -> Plan:
    """The plan for no values in particular, which a prepared statement may get after its fifth use."""
    numbers: dict[str, int] = {}

    def place(found: "re.Match[str]") -> str:
        name = found[1] or f"at {found.start()}"
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    text = re.sub(r"%(?:\((\w+)\))?s", place, statement.text)
    row = psycopg.ClientCursor(connection).execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {text}").fetchone()
    return _plan(statement, row[0][0])


def _plan(statement: Statement, found: dict[str, Any]) -> Plan:
    top = found["Plan"]
    words = " ".join(statement.text.split())
    return Plan(words, tuple(_scans(top)), top["Total Cost"], found.get("Execution Time"))


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if "Relation Name" in node or "Index Name" in node:
        parts = (node["Node Type"], node.get("Relation Name", "-"), node.get("Index Name"))
        yield ":".join(part for part in parts if part)
    for below in node.get("Plans", ()):
        yield from _scans(below)
