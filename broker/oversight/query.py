"""A named report, as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One report. `tags` are the audit entries that stand behind its rows."""

    name: str
    definition: str
    sql: str
    tags: tuple[str, ...]
