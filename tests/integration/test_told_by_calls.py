"""What a call tells of its partner, whose place it takes, and what is said of a leg that waits for it."""

import asyncio
import time
from collections.abc import Awaitable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.kernel.clock import SystemClock
from broker.kernel.ids import PartnerId
from broker.kernel.words import LegState
from broker.partners.circuit import CircuitState
from broker.search import admission
from broker.search.admission import LegAdmission
from broker.search.asking import LegAsking
from broker.search.errand import Errand
from broker.search.repository import SearchRepository
from broker.storage.unit_of_work import Transaction
from tests.integration.each_call import PENDING, at_desk, later, opened, wait
from tests.support.desk import Desk, entry, serving
from tests.support.postgres import Database
from tests.support.raw_partner import BROKEN, SOUND, Asked, RawPartner, candidate, reply, saying
from tests.support.traitors import assert_caught

# A poll tells as much of the partner as a search does.


async def after_an_outage(made: Desk, partner: RawPartner) -> LegState:
    """A search that comes when the partner is well again, and others still wait for their answers."""
    partner.act = later(PENDING)
    async with serving(made.worker()):
        for _ in range(4):
            await made.until(await made.accept("p", seconds=600), LegState.PENDING)
        await opened(made, again=timedelta(seconds=2))  # By then some poll is due, and has been for longer.
        await asyncio.sleep(1.8)
        new = await made.accept("p", seconds=5)
        return (await made.until(new, LegState.PENDING, LegState.PARTNER_ERROR)).legs[0].state


def test_a_sound_poll_closes_the_circuit(fresh_postgres: Database, tmp_path: Path) -> None:
    state = at_desk(fresh_postgres, tmp_path, after_an_outage, entry("p", adapter="dos"))
    assert state is LegState.PENDING


def test_traitor_whose_polls_tell_nothing_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unheard(_self: LegAsking, errand: Errand, asking: Awaitable[Any]) -> Any:
        came = await asking
        if errand.leg.state is not LegState.PENDING and came.health is not None:
            await _self.admission.report(errand.entry.id, came.health, errand.admission)
        return came

    monkeypatch.setattr(LegAsking, "_reported", unheard)
    assert at_desk(fresh_postgres, tmp_path, after_an_outage, entry("p", adapter="dos")) is LegState.PARTNER_ERROR


def test_faulty_polls_open_the_circuit_and_wait_as_long_as_the_partner_wants(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = later(wait(30))
        async with serving(made.worker()):
            for _ in range(8):
                await made.accept("p", seconds=600)
            while (line := await made.line("p")) is None or line.circuit.state is CircuitState.CLOSED:
                await asyncio.sleep(0.05)
            await asyncio.sleep(3)
        polls = [call.path for call in partner.calls if not call.search]
        assert 5 <= len(polls) <= 9, "each task is asked about once in thirty seconds, and once for a trial"

    at_desk(fresh_postgres, tmp_path, test, entry("p", adapter="dos"))


def test_a_trial_that_is_told_to_wait_waits(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        moments: list[float] = []

        async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
            moments.append(time.monotonic())
            writer.write(wait(5)) if len(moments) == 1 else await SOUND(asked, writer)

        partner.act = act
        await opened(made)
        async with serving(made.worker()):
            leg = (await made.until(await made.accept("p", seconds=20))).legs[0]
        assert leg.state is LegState.ANSWERED
        assert moments[1] - moments[0] >= 4.9  # The circuit alone would have waited for two seconds.

    at_desk(fresh_postgres, tmp_path, test)


# Whose time and place it takes.


SHARE = 6


async def beside_a_slow_one(made: Desk, partner: RawPartner) -> tuple[int, LegState]:
    """More searches of a slow partner than the worker has places for it: how many calls it got, and what another's
    search came to.
    """
    partner.act = saying(reply([candidate()]), after=4)
    async with serving(made.worker()):
        for _ in range(2 * SHARE):
            await made.accept("p", seconds=60)
        while len(partner.searches) < SHARE:
            await asyncio.sleep(0.05)
        state = (await made.until(await made.accept("beside", seconds=2))).legs[0].state
        return len(partner.searches), state


def test_a_slow_partner_holds_nobody_else_s_place(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_EACH", SHARE)
    assert at_desk(fresh_postgres, tmp_path, beside_a_slow_one) == (SHARE, LegState.ANSWERED)


def test_traitor_with_so_many_places_for_all_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = LegAdmission.admit

    async def shared(self: LegAdmission, held: Any, search: Any = None) -> Any:
        all_together = {PartnerId(one): sum(held.values()) for one in ("p", "beside")}
        return await honest(self, all_together, search)

    monkeypatch.setattr(admission, "_EACH", SHARE)
    monkeypatch.setattr(LegAdmission, "admit", shared)
    assert at_desk(fresh_postgres, tmp_path, beside_a_slow_one) == (SHARE, LegState.TIMED_OUT)


def test_a_host_whose_clock_is_wrong_ends_nothing(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = SystemClock.now

    def ahead(self: SystemClock) -> datetime:
        return right(self) + timedelta(minutes=10)

    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = saying(reply([candidate()]), after=1)
        search = await made.accept("p", seconds=60)
        monkeypatch.setattr(SystemClock, "now", ahead)
        async with serving(made.worker()):
            assert (await made.until(search)).legs[0].state is LegState.ANSWERED

    at_desk(fresh_postgres, tmp_path, test)


def test_traitor_that_sweeps_by_its_own_clock_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = SearchRepository.overdue

    async def by_its_own(self: SearchRepository, tx: Transaction, _now: datetime, limit: int) -> Any:
        return await honest(self, tx, SystemClock().now(), limit)

    monkeypatch.setattr(SearchRepository, "overdue", by_its_own)
    assert_caught(test_a_host_whose_clock_is_wrong_ends_nothing, fresh_postgres, tmp_path, monkeypatch)


# What it says of a leg.


def test_what_the_partner_was_asked_is_not_said_to_have_waited_for_it(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = BROKEN
        await opened(made, openings=2)  # The next pause is longer than the leg has.
        async with serving(made.worker()):
            asked = await made.accept("p", seconds=5)
            while not partner.searches:
                await asyncio.sleep(0.02)
            waiting = await made.accept("p", seconds=3)
            assert (await made.until(waiting)).legs[0].reason == "circuit_open"
            leg = (await made.until(asked)).legs[0]
        assert (leg.calls, leg.reason != "circuit_open") == (1, True)

    at_desk(fresh_postgres, tmp_path, test)


def test_what_waits_for_its_turn_does_not_say_that_the_partner_is_down(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        await opened(made, again=timedelta(seconds=1))
        async with serving(made.worker()):
            found = [await made.accept("p", seconds=6) for _ in range(6)]
            await made.until(found[0])
            ended = [(await made.until(one)).legs[0] for one in found]
        assert {leg.reason for leg in ended if not leg.calls} == {"no answer before the deadline"}

    at_desk(fresh_postgres, tmp_path, test, entry("p", per_second=0.4, burst=1))
