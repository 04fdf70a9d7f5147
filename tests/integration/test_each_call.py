"""Before each call of a leg the rules are asked; every call asks for the same, and there are so many and no more."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.dos.adapter import DosAdapter
from broker.kernel.ids import AgencyId
from broker.kernel.partner import Participation
from broker.kernel.words import LegState
from broker.policy.search_question import SearchRefusal, SearchRefusalCode
from broker.search.model import Leg, Search
from broker.storage.unit_of_work import Transaction
from tests.integration.each_call import PENDING, at_desk, later, set_budget, wait
from tests.support import desk as desks
from tests.support.desk import Desk, entry, serving
from tests.support.postgres import Database
from tests.support.raw_partner import BROKEN, SOUND, Asked, RawPartner, candidate, reply, saying

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
