"""When a partner is left alone for a while: a circuit, as a value that takes the time from its caller.

Closed, calls go through; after `FAILURES` faulty calls in a row it opens, and no call goes out. When the pause is over
it is half-open: exactly one call, the trial, goes through. A sound trial closes it; a faulty one opens it again, for
twice as long. What counts as faulty is decided by whoever reports (a refusal is a sound call: the partner is there).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

FAILURES: Final = 5
"""Faulty calls in a row that open a closed circuit."""
FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(seconds=10)
"""The pause doubles with each faulty trial, up to this."""


class CircuitState(StrEnum):
    """Where a circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Admission(StrEnum):
    """What one call is told. `shut`: it does not go out."""

    CALL = "call"
    TRIAL = "trial"
    SHUT = "shut"


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit as it stands. Every change gives a new one."""

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    """Faulty calls in a row, while closed."""
    openings: int = 0
    """How often it has opened without closing in between."""
    until: datetime | None = None
    """Open: when a trial may go out. Half-open: when the trial under way counts as lost."""

    def admit(self, now: datetime, trial: timedelta) -> "tuple[Circuit, Admission]":
        """Whether one more call may go out; a trial that is not reported within *trial* is followed by another."""
        if self.state is CircuitState.CLOSED:
            return self, Admission.CALL
        if self.until is not None and now < self.until:
            return self, Admission.SHUT
        return Circuit(CircuitState.HALF_OPEN, 0, self.openings, now + trial), Admission.TRIAL

    def sound(self, admission: Admission) -> "Circuit":
        """A call was answered. While the circuit is not closed only the trial's word counts."""
        if self.state is CircuitState.CLOSED:
            return Circuit()
        return Circuit() if admission is Admission.TRIAL and self.state is CircuitState.HALF_OPEN else self

    def faulty(self, admission: Admission, now: datetime) -> "Circuit":
        """A call was not answered, or the partner says that its side broke."""
        if self.state is CircuitState.CLOSED:
            if self.failures + 1 < FAILURES:
                return Circuit(failures=self.failures + 1)
            return self._opened(now)
        if self.state is CircuitState.HALF_OPEN and admission is Admission.TRIAL:
            return self._opened(now)
        return self

    def abandoned(self, now: datetime) -> "Circuit":
        """The trial never went out, so the next call is one."""
        return Circuit(self.state, 0, self.openings, now) if self.state is CircuitState.HALF_OPEN else self

    def _opened(self, now: datetime) -> "Circuit":
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.openings, 10))
        return Circuit(CircuitState.OPEN, 0, self.openings + 1, now + pause)
