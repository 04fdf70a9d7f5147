"""How fast a partner may be called: a bucket of tokens, as a value that takes the time from its caller."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many calls a second in the long run, and *burst* at once after a rest."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Rate:
    """What is left of a limit: *tokens* at the moment *at*. Below zero, calls that wait have taken what is to come."""

    tokens: float
    at: datetime

    def at_moment(self, limit: RateLimit, now: datetime) -> "Rate":
        """The same bucket later. A clock that went back gives nothing."""
        gone = max(0.0, (now - self.at).total_seconds())
        return Rate(min(float(limit.burst), self.tokens + gone * limit.per_second), max(self.at, now))

    @property
    def room(self) -> int:
        """Calls that may go out at once."""
        # A token that lacks a rounding error is whole.
        return max(0, int(self.tokens + 1e-9))

    def taken(self, calls: int) -> "Rate":
        """After so many calls."""
        return Rate(self.tokens - calls, self.at)

    def wait(self, limit: RateLimit) -> timedelta:
        """How long the last one that took has to wait."""
        return timedelta(seconds=max(0.0, -self.tokens) / limit.per_second)
