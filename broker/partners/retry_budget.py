"""How many calls may be repeated: a budget, as a value that takes the time from its caller.

In no stretch of up to `WINDOW` are there more than `FLOOR` repeated calls and one for every five searches first sent in
it. A partner that is down is therefore not also overrun: what everybody repeats at once is at most a fifth more.

It is a bucket of at most `FLOOR` whole retries. Each search that is sent earns a fifth of one; what has not been drawn
on for a whole window is full again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

SHARE: Final = 0.2
"""Retries that one search earns."""
FLOOR: Final = 3
WINDOW: Final = timedelta(seconds=60)
_DEEPEST: Final = -float(FLOOR)


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """What is left, and when it was last drawn on."""

    left: float = float(FLOOR)
    drawn_at: datetime | None = None

    def earned(self, searches: int, now: datetime) -> "RetryBudget":
        """After so many searches were sent for the first time."""
        if self.drawn_at is not None and now - self.drawn_at > WINDOW:
            return RetryBudget()
        return RetryBudget(min(float(FLOOR), self.left + SHARE * searches), self.drawn_at)

    def asked(self, now: datetime) -> "tuple[RetryBudget, bool]":
        """One call wants to be repeated: what is left then, and whether it may."""
        # A retry that lacks a rounding error (five fifths) is whole.
        if self.left < 1 - 1e-9:
            return self, False
        return RetryBudget(self.left - 1, now), True

    def charged(self, now: datetime) -> "RetryBudget":
        """A call was repeated without asking, because the worker that made the first one died."""
        return RetryBudget(max(_DEEPEST, self.left - 1), now)
