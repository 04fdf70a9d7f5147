"""Which shape of the database this version was written for, told without importing what changes it."""

from functools import cache
from pathlib import Path
from typing import Final

_VERSIONS: Final = Path(__file__).parent / "versions"


@cache
def revisions() -> tuple[str, ...]:
    """Every revision that this version knows, oldest first: the numbers with which its files begin."""
    return tuple(sorted(file.name.partition("_")[0] for file in _VERSIONS.glob("[0-9]*.py")))


def newest() -> str:
    """The revision that this version wants."""
    return revisions()[-1]


def is_later(revision: str | None) -> bool:
    """Whether a later version than this one made it. What came later only added to what this one needs."""
    return revision is not None and revision not in revisions()
