"""What each call of a leg may do, what it tells of its partner, and what it takes from nobody else."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.dos.adapter import DosAdapter
from broker.kernel.clock import SystemClock
from broker.kernel.ids import AgencyId, PartnerId
from broker.kernel.partner import Participation, PartnerEntry
from broker.kernel.words import LegState
from broker.partners.circuit import Circuit, CircuitState
from broker.partners.retry_budget import RetryBudget
from broker.policy.search_question import SearchRefusal, SearchRefusalCode
from broker.search import admission
from broker.search.admission import LegAdmission
from broker.search.asking import LegAsking
from broker.search.errand import Errand
from broker.search.lines import LineRepository
from broker.search.model import Leg, Search
from broker.storage.unit_of_work import Transaction
from tests.support import desk as desks
from tests.support.desk import Desk, desk, entry, serving
from tests.support.postgres import Database
from tests.support.raw_partner import BROKEN, SOUND, Act, Asked, RawPartner, candidate, raw_partner, reply, saying

TAKEN = reply({"taskId": "task-1"}, 202)
PENDING = reply(b'"PENDING"')


def wait(seconds: int) -> bytes:
    return reply({"code": 503, "message": "x"}, 503, headers={"Retry-After": str(seconds)})


def at_desk(
    database: Database,
    folder: Path,
    test: Callable[[Desk, RawPartner], Awaitable[Any]],
    own: PartnerEntry | None = None,
) -> Any:
    """Run *test* with a desk, a partner `p`, and a good one beside it."""

    async def run() -> Any:
        async with raw_partner() as partner, raw_partner() as beside:
            urls = {"p": partner.url, "beside": beside.url}
            async with desk(database, folder, urls, own or entry("p")) as made:
                return await test(made, partner)

    return asyncio.run(run())


async def set_circuit(made: Desk, circuit: Circuit) -> None:
    """As an outage that is over now has left it."""
    async with made.work.begin() as tx:
        line, _ = await LineRepository().hold_one(tx, PartnerId("p"))
        await LineRepository().write(tx, replace(line, circuit=circuit))


async def set_budget(made: Desk, left: float) -> None:
    async with made.work.begin() as tx:
        line, now = await LineRepository().hold_one(tx, PartnerId("p"))
        await LineRepository().write(tx, replace(line, budget=RetryBudget(left, now)))


async def opened(made: Desk, *, again: timedelta = timedelta(), openings: int = 0) -> None:
    async with made.work.begin() as tx:
        until = await tx.clock() + again
    await set_circuit(made, Circuit(CircuitState.OPEN, 0, openings, until))


def later(poll: bytes) -> Act:
    """Takes every search, and says this of it afterwards."""

    async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(TAKEN if asked.search else poll)

    return act


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


# The rules are asked before every call that carries the probe.


class Changing:
    """Rules that let everything go, until they do not."""

    refusal = SearchRefusal(code=SearchRefusalCode.CASE_NOT_OPEN, rule=None, detail="the case is not open any more")

    def __init__(self) -> None:
        self.against = False

    async def refusals(self, _tx: Transaction, _search: Search, _leg: Leg) -> tuple[SearchRefusal, ...]:
        return (self.refusal,) if self.against else ()


async def called_again(made: Desk, partner: RawPartner, seconds: int) -> tuple[Leg, int]:
    """The partner asks to wait; meanwhile the case is closed. The leg in the end, and how often the probe went out."""
    rules = made.recheck = Changing()

    async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
        rules.against = True
        writer.write(wait(seconds)) if len(partner.searches) == 1 else await SOUND(asked, writer)

    partner.act = act
    async with serving(made.worker()):
        leg = (await made.until(await made.accept("p", seconds=20))).legs[0]
    return leg, len(partner.searches)


@pytest.mark.parametrize("seconds", [1, 6], ids=["held here", "comes back"])
def test_what_the_rules_forbid_meanwhile_is_not_sent_again(
    fresh_postgres: Database, tmp_path: Path, seconds: int
) -> None:
    leg, calls = at_desk(fresh_postgres, tmp_path, lambda made, partner: called_again(made, partner, seconds))
    assert (leg.state, leg.reason, leg.calls) == (LegState.REFUSED, "no_longer_agreed: case_not_open", 1)
    assert leg.refusals == (Changing.refusal,)
    assert calls == 1


def test_traitor_who_asks_the_rules_once_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def once(self: Changing, _tx: Transaction, _search: Search, leg: Leg) -> tuple[SearchRefusal, ...]:
        return (self.refusal,) if self.against and leg.state is LegState.QUEUED else ()

    monkeypatch.setattr(Changing, "refusals", once)
    leg, calls = at_desk(fresh_postgres, tmp_path, lambda made, partner: called_again(made, partner, 6))
    assert (leg.state, calls) == (LegState.ANSWERED, 2)


def test_a_partner_that_has_left_the_register_is_refused_what_it_was_not_sent(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        monkeypatch.setattr(made.registry, "_url_overrides", {})
        made.registry.renew([one for one in made.registry.entries() if one.id != "p"])
        rules = made.recheck = Changing()
        search = await made.accept("p", seconds=60)
        async with serving(made.worker()):
            await asyncio.sleep(1)
            assert (await made.leg(search, "p")).state is LegState.QUEUED  # The policy in force still has it.
        rules.against = True
        async with serving(made.worker()):
            leg = (await made.until(search)).legs[0]
        assert (leg.state, leg.refusals, partner.calls) == (LegState.REFUSED, (Changing.refusal,), [])

    at_desk(fresh_postgres, tmp_path, test)


# How many calls there are.


def test_a_leg_has_no_more_calls_than_the_register_allows_however_often_it_comes_back(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(wait(6)) if len(partner.searches) == 1 else await BROKEN(asked, writer)

        partner.act = act
        async with serving(made.worker()):
            leg = (await made.until(await made.accept("p", seconds=30))).legs[0]
        assert leg.calls == len(partner.searches) == 3

    at_desk(fresh_postgres, tmp_path, test, entry("p", attempts=3))


def test_who_asks_to_come_again_is_called_when_the_budget_lets_it(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        asked: dict[str, int] = {}

        async def act(one: Asked, writer: asyncio.StreamWriter) -> None:
            asked[one.transaction] = asked.get(one.transaction, 0) + 1
            if asked[one.transaction] == 1 and len(asked) == 1:
                await set_budget(made, 0.0)
                writer.write(reply({"code": 429, "message": "x"}, 429, headers={"Retry-After": "1"}))
            else:
                await SOUND(one, writer)

        partner.act = act
        async with serving(made.worker()):
            search = await made.accept("p", seconds=30)
            while (leg := await made.leg(search, "p")).reason is None:
                await asyncio.sleep(0.05)
            assert (leg.state, leg.reason) == (LegState.SENT, "retry_budget_spent")
            await asyncio.sleep(3)
            assert list(asked.values()) == [1]
            await set_budget(made, 1.0)
            leg = (await made.until(search)).legs[0]
        assert (leg.state, leg.calls) == (LegState.ANSWERED, 2)

    at_desk(fresh_postgres, tmp_path, test)


async def restarted(made: Desk, partner: RawPartner) -> float:
    """A worker is ended while the partner is slow, and another one started: what is left of the budget."""
    partner.act = saying(reply([candidate()]), after=60)
    first = made.worker()
    async with serving(first):
        for _ in range(3):
            await made.accept("p", seconds=120)
        while len(partner.searches) < 3:
            await asyncio.sleep(0.05)
        await first.drain(0)
    partner.act = SOUND
    async with serving(made.worker()):
        while len(partner.searches) < 6:
            await asyncio.sleep(0.05)
    line = await made.line("p")
    assert line is not None
    return line.budget.left


def test_what_a_restart_repeats_is_charged_to_the_budget(fresh_postgres: Database, tmp_path: Path) -> None:
    assert at_desk(fresh_postgres, tmp_path, restarted) < 1


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


def test_every_call_of_a_leg_asks_for_the_same(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        seen: list[tuple[str, str | None]] = []

        async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
            seen.append((asked.path, asked.query.get("callback")))
            writer.write(wait(6)) if len(seen) == 1 else await SOUND(asked, writer)

        partner.act = act
        first, second = made.worker(), made.worker()
        second._asking._base_url = "http://127.0.0.1:2"
        async with serving(first):
            search = await made.accept("p", seconds=30)
            while not seen:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
        made.registry.renew([one.model_copy(update={"gallery": "another"}) for one in made.registry.entries()])
        async with serving(second):
            await made.until(search)
        assert len(seen) == 2
        assert len(set(seen)) == 1

    at_desk(fresh_postgres, tmp_path, test, entry("p", adapter="dos"))


def test_a_callback_is_read_with_the_order_that_a_poll_is_read_with(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: dict[str, Any] = {}

    class Watching(DosAdapter):
        async def poll(self, order: Any, task_id: str, wire: Any) -> Any:
            orders["poll"] = order
            return await super().poll(order, task_id, wire)

        def callback(self, order: Any, body: bytes, query: Any) -> Any:
            orders["callback"] = order
            return super().callback(order, body, query)

    terms = desks.search_terms
    named = {"participant_reference": "P-1"}
    monkeypatch.setattr(desks, "search_terms", lambda *given: terms(*given).model_copy(update=named))
    monkeypatch.setitem(desks.ADAPTERS, "dos", Watching())
    participation = Participation(agency=AgencyId("ICE-ERO"), terms_version="1")

    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = later(PENDING)
        async with serving(made.worker()):
            search = await made.accept("p", seconds=30)
            leg = (await made.until(search, LegState.PENDING)).legs[0]
            while "poll" not in orders:
                await asyncio.sleep(0.02)
        query = {"transactionId": leg.transaction_id, "taskId": "task-1"}
        await made.callbacks().take(leg.partner, query, b"[]")
        assert orders["callback"] == orders["poll"]
        assert orders["callback"].participant == "P-1"

    own = entry("p", adapter="dos").model_copy(update={"participation": participation})
    at_desk(fresh_postgres, tmp_path, test, own)
