"""What is known of one partner at a moment: its circuit, its rate and its budget of retries, together. No I/O."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.kernel.ids import PartnerId
from broker.kernel.partner import Limits
from broker.kernel.wire import Health
from broker.partners.circuit import Admission, Circuit, CircuitState
from broker.partners.rate import Rate, RateLimit
from broker.partners.retry_budget import RetryBudget

_MARGIN: Final = timedelta(seconds=5)
"""Beyond its call's own time, how long a trial may take to be reported before it counts as lost."""


@dataclass(frozen=True, slots=True)
class Line:
    """One partner's line, shared by all workers. Every change gives a new one."""

    partner: PartnerId
    circuit: Circuit
    budget: RetryBudget
    rate: Rate
    counted_until: datetime

    @classmethod
    def fresh(cls, partner: PartnerId, now: datetime) -> "Line":
        """A partner that was never called: nothing is held against it."""
        return cls(partner, Circuit(), RetryBudget(), Rate(float("inf"), now), now)

    def admit(self, limits: Limits, in_flight: int, wanted: int, now: datetime) -> "tuple[Line, int, Admission]":
        """How many of *wanted* calls may go out now, with *in_flight* under way; the line as it is when they do."""
        room = min(wanted, limits.concurrent - in_flight)
        rate, limit = self.rate, rate_limit(limits)
        if limit is not None:
            rate = rate.at_moment(limit, now)
            room = min(room, rate.room)
        if room <= 0:
            return self, 0, Admission.CALL
        circuit, admission = self.circuit.admit(now, timedelta(seconds=limits.call_seconds) + _MARGIN)
        if admission is Admission.SHUT:
            return self, 0, admission
        if admission is Admission.TRIAL:
            room = 1
        return replace(self, circuit=circuit, rate=rate), room, admission

    def drawn(self, limits: Limits, calls: int, now: datetime) -> "tuple[Line, timedelta]":
        """Calls go out whatever the rate says: how long the last of them has to wait for its turn."""
        limit = rate_limit(limits)
        if limit is None:
            return self, timedelta()
        rate = self.rate.at_moment(limit, now).taken(calls)
        return replace(self, rate=rate), rate.wait(limit)

    def reported(self, health: Health | None, admission: Admission, now: datetime) -> "Line":
        """What a call said of the partner; a trial that said nothing leaves its place to the next one."""
        match health:
            case Health.SOUND:
                circuit = self.circuit.sound(admission)
            case Health.FAULTY:
                circuit = self.circuit.faulty(admission, now)
            case Health.UNKNOWN | None:
                circuit = self.circuit.abandoned(now) if admission is Admission.TRIAL else self.circuit
        return replace(self, circuit=circuit)

    def earned(self, searches: int, now: datetime) -> "Line":
        """So many searches were first sent since it was last counted, and until *now*."""
        return replace(self, budget=self.budget.earned(searches, now), counted_until=now)

    def ask_to_repeat(self, now: datetime) -> "tuple[Line, bool]":
        """Whether one more call may repeat an earlier one. While the circuit is not closed, none may."""
        if self.circuit.state is not CircuitState.CLOSED:
            return self, False
        budget, granted = self.budget.asked(now)
        return replace(self, budget=budget), granted

    def ask_to_return(self, now: datetime) -> "tuple[Line, bool]":
        """The same for a call that comes back after the circuit's pause."""
        budget, granted = self.budget.asked(now)
        return replace(self, budget=budget), granted

    def charged(self, now: datetime) -> "Line":
        """A call was repeated because a worker died."""
        return replace(self, budget=self.budget.charged(now))


def rate_limit(limits: Limits) -> RateLimit | None:
    """The rate that the register gives, if it gives one."""
    return None if limits.per_second is None else RateLimit(limits.per_second, limits.burst)
