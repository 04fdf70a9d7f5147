"""A named report, as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One report. `tags` are the audit entries that stand behind its rows."""

    name: str
    definition: str
    sql: str
    tags: tuple[str, ...]
    as_of: bool = False
    """Whether it says how things stood at `until`; then a bare day is meant with all that happened on it."""
