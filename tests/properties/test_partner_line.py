"""Circuit, rate and budget of retries against plain models, with a clock that the test moves."""

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from broker.kernel.partner import Limits
from broker.kernel.wire import Health
from broker.partners.circuit import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Admission, Circuit, CircuitState
from broker.partners.line import Line
from broker.partners.rate import Rate, RateLimit
from broker.partners.retry_budget import FLOOR, SHARE, WINDOW, RetryBudget

START = datetime(2026, 1, 1, tzinfo=UTC)
TRIAL = timedelta(seconds=15)
# Whether a traitor is found must not hang on chance: the same examples each time.
STEPS = settings(max_examples=40, stateful_step_count=40, deadline=None, derandomize=True)
A_WHILE = st.integers(0, 40_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))


class CircuitMachine(RuleBasedStateMachine):
    """The model keeps what went out and what came of it, and says from that alone what may go out."""

    def __init__(self):
        super().__init__()
        self.now = START
        self.circuit = Circuit()
        self.under_way: list[Admission] = []
        self.bad_in_a_row = 0
        self.shut_until = None
        self.openings = 0
        self.trial_lost_at = None

    @property
    def closed(self):
        return self.shut_until is None

    @rule(by=A_WHILE)
    def time_goes_by(self, by):
        self.now += by

    @rule()
    def it_is_time_for_a_trial(self):
        self.now = max(self.now, self.shut_until or self.now)

    @rule()
    def all_fail_until_it_is_shut(self):
        while self.closed:
            self.one_wants_to_go_out()
            self._ends_badly(self.under_way.pop())

    @rule()
    def one_wants_to_go_out(self):
        self.circuit, admission = self.circuit.admit(self.now, TRIAL)
        if self.closed:
            assert admission is Admission.CALL
        elif self.now < self.shut_until or (self.trial_lost_at is not None and self.now < self.trial_lost_at):
            assert admission is Admission.SHUT
        else:
            assert admission is Admission.TRIAL
            self.trial_lost_at = self.now + TRIAL
        if admission is not Admission.SHUT:
            self.under_way.append(admission)

    @rule(which=st.randoms(use_true_random=False))
    def one_is_answered(self, which):
        if self.under_way:
            admission = self.under_way.pop(which.randrange(len(self.under_way)))
            self.circuit = self.circuit.sound(admission)
            if self.closed:
                self.bad_in_a_row = 0
            elif admission is Admission.TRIAL and self.trial_lost_at is not None:
                self.shut_until, self.openings, self.bad_in_a_row, self.trial_lost_at = None, 0, 0, None

    @rule(which=st.randoms(use_true_random=False))
    def one_is_not_answered(self, which):
        if self.under_way:
            self._ends_badly(self.under_way.pop(which.randrange(len(self.under_way))))

    def _ends_badly(self, admission):
        self.circuit = self.circuit.faulty(admission, self.now)
        if self.closed:
            self.bad_in_a_row += 1
            if self.bad_in_a_row == FAILURES:
                self._opens()
        elif admission is Admission.TRIAL and self.trial_lost_at is not None:
            self._opens()

    @rule(which=st.randoms(use_true_random=False))
    def a_trial_never_goes_out(self, which):
        if Admission.TRIAL in self.under_way:
            self.under_way.remove(Admission.TRIAL)
            self.circuit = self.circuit.abandoned(self.now)
            if self.trial_lost_at is not None:
                self.trial_lost_at = self.now

    def _opens(self):
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self.openings)
        self.shut_until, self.trial_lost_at, self.bad_in_a_row = self.now + pause, None, 0
        self.openings += 1

    @invariant()
    def says_where_it_stands(self):
        assert (self.circuit.state is CircuitState.CLOSED) is self.closed
        assert (self.circuit.state is CircuitState.HALF_OPEN) is (self.trial_lost_at is not None)


def test_the_circuit_lets_out_what_its_model_lets_out():
    run_state_machine_as_test(CircuitMachine, settings=STEPS)


def test_traitor_a_half_open_circuit_that_lets_everybody_through_is_caught(monkeypatch):
    honest = Circuit.admit

    def generous(self, now, trial):
        if self.state is CircuitState.HALF_OPEN:
            return self, Admission.TRIAL
        return honest(self, now, trial)

    monkeypatch.setattr(Circuit, "admit", generous)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(CircuitMachine, settings=settings(STEPS, print_blob=False))


class BudgetMachine(RuleBasedStateMachine):
    """Every stretch of up to a window is counted again after each retry, from nothing but the list of calls."""

    def __init__(self):
        super().__init__()
        self.now = START
        self.budget = RetryBudget()
        self.not_counted = 0
        self.searches: deque[datetime] = deque()
        self.retries: deque[datetime] = deque()

    @rule(by=A_WHILE)
    def time_goes_by(self, by):
        self.now += by

    @rule(number=st.integers(1, 12))
    def searches_are_sent(self, number):
        self.now += timedelta(milliseconds=1)
        self.searches.extend([self.now] * number)
        self.not_counted += number

    @rule()
    def a_call_wants_to_be_repeated(self):
        self.now += timedelta(milliseconds=1)
        self.budget, granted = self._earned().asked(self.now)
        if granted:
            self.retries.append(self.now)
        quiet = not self.retries or self.now - self.retries[-1] > WINDOW
        assert granted or not quiet, "a partner that nobody retried for a window may be retried"

    def _earned(self):
        earned = self.budget.earned(self.not_counted, self.now)
        self.not_counted = 0
        return earned

    @invariant()
    def no_stretch_has_more_than_its_share(self):
        for begins in [self.now - WINDOW, *(moment for moment in self.retries if self.now - moment <= WINDOW)]:
            retries = sum(begins <= one <= self.now for one in self.retries)
            searches = sum(begins <= one <= self.now for one in self.searches)
            assert retries <= SHARE * searches + FLOOR


def test_the_budget_keeps_its_share_in_every_stretch():
    run_state_machine_as_test(BudgetMachine, settings=STEPS)


def test_traitor_a_budget_that_grants_whatever_is_left_is_caught(monkeypatch):
    monkeypatch.setattr(RetryBudget, "asked", lambda self, now: (RetryBudget(self.left, now), True))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(BudgetMachine, settings=settings(STEPS, print_blob=False))


def test_a_worker_s_death_is_charged_and_never_refused():
    budget = RetryBudget()
    for _ in range(10):
        budget = budget.charged(START)
    assert budget.asked(START)[1] is False
    assert budget.earned(5 * FLOOR, START).asked(START)[1] is False
    assert budget.earned(5 * (FLOOR + 1), START).asked(START)[1] is True


@given(
    per_second=st.floats(0.2, 50),
    burst=st.integers(1, 20),
    steps=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 10)), max_size=40),
)
def test_the_rate_is_kept_in_every_stretch(per_second, burst, steps):
    limit, now = RateLimit(per_second, burst), START
    rate, gone = Rate(float("inf"), START), []
    for milliseconds, wanted in steps:
        now += timedelta(milliseconds=milliseconds)
        rate = rate.at_moment(limit, now)
        calls = min(wanted, rate.room)
        rate = rate.taken(calls)
        gone += [now] * calls
        for index, begins in enumerate(gone):
            assert len(gone) - index <= burst + per_second * (now - begins).total_seconds() + 1e-3


def test_one_who_takes_more_than_there_is_waits_for_its_turn():
    limit = RateLimit(2.0, 1)
    rate = Rate(1.0, START).taken(3)
    assert rate.wait(limit) == timedelta(seconds=1)
    assert rate.at_moment(limit, START + timedelta(seconds=2)).room == 1
    assert rate.at_moment(limit, START - timedelta(seconds=9)) == rate, "a clock that goes back gives nothing"


def test_a_line_lets_out_as_many_as_there_is_room_for():
    line, limits = Line.fresh("p", START), Limits(concurrent=4, per_second=10.0, burst=3)
    assert line.admit(limits, 0, 10, START)[1:] == (3, Admission.CALL)
    assert line.admit(limits, 3, 10, START)[1:] == (1, Admission.CALL)
    assert line.admit(limits, 4, 10, START)[1] == 0
    opened = replace(line, circuit=Circuit(CircuitState.OPEN, 0, 1, START))
    assert opened.admit(limits, 0, 10, START)[1:] == (1, Admission.TRIAL)
    assert opened.admit(limits, 4, 10, START)[0].circuit.state is CircuitState.OPEN, "a trial needs room, too"


def test_no_call_is_repeated_while_the_circuit_is_not_closed():
    line = Line.fresh("p", START)
    for _ in range(FAILURES):
        line = line.reported(Health.FAULTY, Admission.CALL, START)
    assert line.ask_to_repeat(START)[1] is False
    assert line.ask_to_return(START)[1] is True
