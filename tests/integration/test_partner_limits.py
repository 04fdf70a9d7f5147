"""What all workers together keep towards one partner: circuit, budget of retries, rate, number of calls at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker.kernel.words import LegState
from broker.partners.circuit import CircuitState
from broker.partners.line import Line
from broker.search.admission import LegAdmission
from broker.transport import Budget
from tests.support.desk import Desk, desk, entry, serving
from tests.support.figures import keep
from tests.support.postgres import Database
from tests.support.raw_partner import BROKEN, SOUND, Asked, RawPartner, candidate, raw_partner, reply, saying


def at_desk(database: Database, folder: Path, test: Callable[..., Awaitable[Any]], **limits: Any) -> Any:
    """Run *test* with a desk, a partner `p` under these limits, and a good one beside it."""

    async def run() -> Any:
        async with raw_partner() as partner, raw_partner() as beside:
            urls = {"p": partner.url, "beside": beside.url}
            async with desk(database, folder, urls, entry("p", **limits)) as made:
                return await test(made, partner)

    return asyncio.run(run())


async def an_outage(
    made: Desk, partner: RawPartner, seconds: float = 30, searches: int = 30, pause: float = 0.05
) -> tuple[int, int]:
    """Searches of a partner that is down, two workers; how many were asked for, and how many calls came."""
    partner.act = BROKEN
    async with serving(made.worker(), made.worker()):
        found = []
        for _ in range(searches):
            found.append(await made.accept("p", "beside", seconds=seconds))
            await asyncio.sleep(pause)
        for search in found:
            ended = await made.until(search)
            leg = {leg.partner: leg for leg in ended.legs}
            assert leg["beside"].state is LegState.ANSWERED
            # On a busy machine the deadline may come before the turn to say that the partner is down.
            assert leg["p"].state in (LegState.PARTNER_ERROR, LegState.TIMED_OUT)
            assert leg["p"].state is LegState.TIMED_OUT or leg["p"].reason in ("partner_error", "circuit_open")
    return len(found), len(partner.searches)


def test_a_partner_that_is_down_is_called_at_most_a_fifth_more_often(fresh_postgres: Database, tmp_path: Path) -> None:
    # Behind a circuit that is open a leg waits until its deadline.
    searches, calls = at_desk(fresh_postgres, tmp_path, partial(an_outage, seconds=5))
    assert calls <= 1.2 * searches + 3


def test_without_a_circuit_the_budget_alone_keeps_the_fifth(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Line, "reported", lambda self, *_: self)
    searches, calls = at_desk(fresh_postgres, tmp_path, an_outage)
    assert searches < calls <= 1.2 * searches + 3


@pytest.mark.deep
@pytest.mark.parametrize("circuit", [True, False], ids=["with the circuit", "by the budget alone"])
def test_an_outage_of_a_minute(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, circuit: bool
) -> None:
    if not circuit:
        monkeypatch.setattr(Line, "reported", lambda self, *_: self)
    minute = partial(an_outage, seconds=10, searches=300, pause=0.2)
    searches, calls = at_desk(fresh_postgres, tmp_path, minute)
    name = f"outage-{'with-circuit' if circuit else 'budget-alone'}"
    what = "calls to a partner that is down for a minute, five searches a second, two workers"
    keep(name, what, {"searches": searches, "calls": calls, "most": 1.2 * searches + 3})
    assert calls <= 1.2 * searches + 3


def test_traitor_whose_retries_ignore_the_budget_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def always(*_: Any) -> bool:
        return True

    monkeypatch.setattr(Line, "reported", lambda self, *_: self)
    monkeypatch.setattr(LegAdmission, "may_repeat", always)
    searches, calls = at_desk(fresh_postgres, tmp_path, an_outage)
    assert calls > 1.2 * searches + 3


def test_one_trial_goes_through_for_all_workers_and_the_rest_follows_it(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = BROKEN
        workers = [made.worker() for _ in range(3)]
        async with serving(*workers):
            down = [await made.accept("p", seconds=20) for _ in range(6)]
            while (line := await made.line("p")) is None or line.circuit.state is CircuitState.CLOSED:
                await asyncio.sleep(0.02)
            waiting = [await made.accept("p", seconds=20) for _ in range(12)]
            for one in waiting:
                while (await made.leg(one, "p")).reason != "circuit_open":
                    await asyncio.sleep(0.05)
            before = len(partner.searches)
            partner.act = saying(reply([candidate()]), after=1.0)
            began = time.monotonic()
            while len(partner.searches) == before:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.6)
            # The trial is on the partner's desk, and everybody else waits for what comes of it.
            assert len(partner.searches) == before + 1
            for search in waiting:
                assert (await made.until(search)).legs[0].state is LegState.ANSWERED
            assert time.monotonic() - began < 15
            for search in down:
                assert (await made.until(search)).legs[0].state in (LegState.PARTNER_ERROR, LegState.ANSWERED)
        assert all(len(bodies) == 1 for bodies in partner.bodies.values())

    at_desk(fresh_postgres, tmp_path, test)


def test_no_more_calls_at_a_time_than_the_register_says(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> int:
        now = most = 0

        async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.2)
            now -= 1
            await SOUND(asked, writer)

        partner.act = act
        workers = [made.worker(), made.worker()]
        async with serving(*workers):
            found = [await made.accept("p", "beside") for _ in range(12)]
            await asyncio.gather(*(workers[index % 2].run(one) for index, one in enumerate(found)))
            for search in found:
                assert {leg.state for leg in (await made.until(search)).legs} == {LegState.ANSWERED}
        return most

    assert at_desk(fresh_postgres, tmp_path, test, concurrent=3) == 3


def test_the_rate_is_kept_by_all_workers_together(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> list[float]:
        moments: list[float] = []

        async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
            moments.append(time.monotonic())
            await SOUND(asked, writer)

        partner.act = act
        async with serving(made.worker(), made.worker()):
            found = [await made.accept("p") for _ in range(10)]
            for search in found:
                assert (await made.until(search)).legs[0].state is LegState.ANSWERED
        return moments

    moments = at_desk(fresh_postgres, tmp_path, test, per_second=5.0, burst=2)
    for index, begins in enumerate(moments):
        for number, ends in enumerate(moments[index:], start=1):
            # A call reaches the partner somewhat later than it was let out.
            assert number <= 2 + 5.0 * (ends - begins + 0.5)


async def asked_to_wait(made: Desk, partner: RawPartner, header: str, seconds: float) -> tuple[Any, list[float]]:
    """A partner that says 429 once, and then answers: the leg in the end, and when the calls came."""
    moments: list[float] = []

    async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
        moments.append(time.monotonic())
        if len(moments) == 1:
            writer.write(reply({"code": 429, "message": "x"}, 429, headers={"Retry-After": header}))
        else:
            await SOUND(asked, writer)

    partner.act = act
    async with serving(made.worker()):
        search = await made.accept("p", "beside", seconds=seconds)
        ended = await made.until(search)
    return {leg.partner: leg for leg in ended.legs}["p"], moments


@pytest.mark.parametrize("header", ["2", "6"])
def test_a_partner_that_asks_to_wait_is_not_called_before(
    fresh_postgres: Database, tmp_path: Path, header: str
) -> None:
    async def test(made: Desk, partner: RawPartner) -> Any:
        return await asked_to_wait(made, partner, header, 15)

    leg, moments = at_desk(fresh_postgres, tmp_path, test)
    assert leg.state is LegState.ANSWERED
    assert leg.calls == len(moments) == 2
    assert moments[1] - moments[0] >= float(header) - 0.1


@pytest.mark.parametrize("header", ["30", "9" * 40, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_who_asks_to_wait_beyond_the_deadline_is_not_called_again(
    fresh_postgres: Database, tmp_path: Path, header: str
) -> None:
    async def test(made: Desk, partner: RawPartner) -> Any:
        began = time.monotonic()
        return (*await asked_to_wait(made, partner, header, 3), time.monotonic() - began)

    leg, moments, took = at_desk(fresh_postgres, tmp_path, test)
    assert (leg.state, len(moments)) == (LegState.PARTNER_ERROR, 1)
    assert took < 2, "it ends at once: nothing more can come of it"


def test_traitor_who_ignores_retry_after_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "pause", lambda *_: 0.05)

    async def test(made: Desk, partner: RawPartner) -> Any:
        return await asked_to_wait(made, partner, "2", 15)

    _, moments = at_desk(fresh_postgres, tmp_path, test)
    assert moments[1] - moments[0] < 1.0
