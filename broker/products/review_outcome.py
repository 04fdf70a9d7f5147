"""What reviewers' dispositions of one list come to (R8). Pure.

Two people go through the whole list. Where they differ, the candidate is inconclusive and the list is disputed; then
the word of a third decides: another person, neither of the two nor the requester. What the two said stays.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

REVIEWERS_NEEDED: Final = 2


class Disposition(StrEnum):
    """What a reviewer makes of one candidate."""

    POSSIBLE = "possible"
    EXCLUDED = "excluded"
    INCONCLUSIVE = "inconclusive"


class ReviewState(StrEnum):
    """How far the review of a list is. Only `complete` and `resolved` let what is made of the list leave."""

    OPEN = "open"
    COMPLETE = "complete"
    """Two people have been through the list and agree on every candidate."""
    DISPUTED = "disputed"
    """They disagree on a candidate at least, and no third has spoken."""
    RESOLVED = "resolved"

    @property
    def settled(self) -> bool:
        """Whether nothing more is needed."""
        return self in (ReviewState.COMPLETE, ReviewState.RESOLVED)


class Word(BaseModel):
    """One disposition as it stands on record."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reviewer: str
    candidate: str
    disposition: Disposition
    note: str | None
    at: AwareDatetime


Said = Mapping[str, Mapping[str, Disposition]]
"""Dispositions by reviewer and candidate."""


def by_reviewer(words: Sequence[Word]) -> Said:
    """The same words, found by who said them and of which candidate."""
    said: dict[str, dict[str, Disposition]] = {}
    for word in words:
        said.setdefault(word.reviewer, {})[word.candidate] = word.disposition
    return said


def finished(said: Said, candidates: Collection[str]) -> tuple[str, ...]:
    """Who has given every candidate a disposition."""
    return tuple(sorted(reviewer for reviewer, given in said.items() if set(candidates) <= given.keys()))


def differing(said: Said, pair: Sequence[str]) -> tuple[str, ...]:
    """The candidates on which the two disagree."""
    first, second = (said[reviewer] for reviewer in pair)
    return tuple(sorted(one for one in first if first[one] is not second[one]))


def third(said: Said, pair: Collection[str], requester: str, disputed: Collection[str]) -> str | None:
    """Who, being neither of the two nor the requester, has given every disputed candidate a disposition."""
    if not disputed:
        return None
    others = sorted(said.keys() - set(pair) - {requester})
    return next((one for one in others if set(disputed) <= said[one].keys()), None)


def outcome(said: Said, pair: Sequence[str], resolver: str | None, candidate: str) -> Disposition | None:
    """What the review comes to for one candidate; None before two have been through the list."""
    if not pair:
        return None
    first, second = (said[reviewer][candidate] for reviewer in pair)
    if first is second:
        return first
    # Whoever disagrees has not excluded and not found anything: without a third it is inconclusive.
    return Disposition.INCONCLUSIVE if resolver is None else said[resolver][candidate]
