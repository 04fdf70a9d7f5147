"""Legs that wait cost a row; what a worker that died was looking after is taken over; what has ended is let go of."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from broker.kernel.errors import Conflict
from broker.kernel.words import LegState, SearchStatus
from broker.search import callbacks as callbacks_module
from broker.search import leases
from broker.search.callbacks import Taken
from broker.search.model import Search
from broker.search.service import SearchService
from broker.search.settling import Settling
from tests.support.desk import Desk, desk, entry, serving
from tests.support.postgres import Database
from tests.support.raw_partner import SOUND, Asked, RawPartner, candidate, raw_partner, reply
from tests.support.workplace import ANALYST

TASK = "task-1"
PENDING = reply(b'"PENDING"')


def at_desk(database: Database, folder: Path, test: Callable[..., Awaitable[Any]], **limits: Any) -> Any:
    async def run() -> Any:
        async with raw_partner() as partner, raw_partner() as beside:
            urls = {"p": partner.url, "beside": beside.url}
            async with desk(database, folder, urls, entry("p", adapter="dos", **limits)) as made:
                return await test(made, partner)

    return asyncio.run(run())


class Later:
    """Takes every search, and answers the polls in the order of its script; the last one for ever."""

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.search:
            writer.write(reply({"taskId": TASK}, 202))
            return
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if step is not None:  # None: hangs up.
            writer.write(step)


DONE = reply({"status": "COMPLETED", "candidates": [candidate()]})


def test_a_poll_that_fails_is_not_the_partner_s_answer(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = Later(PENDING, None, reply({"code": 503, "message": "x"}, 503), reply(b"<p>", 502), DONE)
        async with serving(made.worker()):
            search = await made.accept("p", "beside", seconds=20)
            ended = {leg.partner: leg for leg in (await made.until(search)).legs}
        assert ended["p"].state is LegState.ANSWERED
        assert (ended["p"].calls, ended["p"].polls) == (1, 4)
        assert len(partner.searches) == 1

    at_desk(fresh_postgres, tmp_path, test)


def test_what_the_partner_says_of_its_task_ends_the_leg(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = Later(PENDING, reply(b'"RESPONSE_ERROR"'))
        async with serving(made.worker()):
            search = await made.accept("p", seconds=20)
            leg = (await made.until(search)).legs[0]
        assert (leg.state, leg.reason) == (LegState.PARTNER_ERROR, "partner_error")

    at_desk(fresh_postgres, tmp_path, test)


def test_polls_come_less_and_less_often_and_once_more_before_the_end(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        loop = asyncio.get_running_loop()
        moments: list[float] = []
        inner = Later(PENDING)

        async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
            moments.append(loop.time())
            await inner(asked, writer)

        partner.act = act
        began = loop.time()
        async with serving(made.worker()):
            search = await made.accept("p", seconds=7)
            leg = (await made.until(search)).legs[0]
        assert leg.state is LegState.TIMED_OUT
        # A busy machine is late now and then, never early; how late a leg may end is measured in test_faults.py.
        assert loop.time() - began >= 7.0
        between = [later - earlier for earlier, later in pairwise(moments)]
        assert between[2] > between[1] > between[0]
        assert moments[-1] - began > 4.0

    at_desk(fresh_postgres, tmp_path, test)


def test_a_leg_that_waits_holds_nothing_of_a_worker(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = Later(reply(b'"PENDING"'))
        worker = made.worker()
        async with serving(worker):
            found = [await made.accept("p", seconds=60) for _ in range(100)]
            for search in found:
                await made.until(search, LegState.PENDING)
            for _ in range(100):
                if not worker._tasks:
                    break
                await asyncio.sleep(0.02)
            assert len(worker._tasks) <= 16
            # Somebody else's search is not behind them in any queue.
            quick = await made.accept("beside", seconds=5)
            await worker.run(quick)
            assert (await made.until(quick, seconds=2)).legs[0].state is LegState.ANSWERED

    at_desk(fresh_postgres, tmp_path, test)


def test_what_a_worker_that_died_was_asking_is_asked_again_under_the_same_transaction(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        async def never(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(3600)

        partner.act = never
        search = await made.accept("p", seconds=30)
        dead = made.worker()
        await dead.run(search)
        while not partner.searches:
            await asyncio.sleep(0.02)
        # It does not say again that it has the leg, as a killed process does not.
        partner.act = SOUND
        async with serving(made.worker()):
            ended = await made.until(search)
        assert ended.legs[0].state is LegState.ANSWERED
        assert ended.legs[0].calls == 2
        assert [len(bodies) for bodies in partner.bodies.values()] == [1]
        for task in list(dead._tasks.values()):
            task.cancel()

    monkeypatch.setattr(leases, "LEASE", leases.LEASE / 4)
    at_desk(fresh_postgres, tmp_path, test)


def test_a_cancelled_search_hangs_up_on_its_partners(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        async def never(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(3600)

        partner.act = never
        service = SearchService(made.work, made.searches, None, made.clock)  # type: ignore[arg-type]
        async with serving(made.worker()):
            search = await made.accept("p", seconds=60)
            while not partner.open:
                await asyncio.sleep(0.02)
            cancelled = await service.cancel(ANALYST, search)
            assert cancelled.legs[0].state is LegState.CANCELLED
            for _ in range(100):
                if not partner.open:
                    break
                await asyncio.sleep(0.03)
            assert (partner.open, partner.hung_up) == (set(), 1)
        assert (await made.leg(search, "p")).state is LegState.CANCELLED

    at_desk(fresh_postgres, tmp_path, test)


def test_a_search_that_was_cancelled_can_be_cancelled_again_and_one_that_ended_cannot(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = Later(PENDING)
        service = SearchService(made.work, made.searches, None, made.clock)  # type: ignore[arg-type]
        async with serving(made.worker()):
            search = await made.accept("p", "beside", seconds=60)
            await made.until(search, LegState.PENDING, partner="p")
            await made.until(search, partner="beside")
            assert await service.cancel(ANALYST, search) == await service.cancel(ANALYST, search)
            ended = await made.accept("beside")
            await made.until(ended)
        with pytest.raises(Conflict, match="has ended"):
            await service.cancel(ANALYST, ended)

    at_desk(fresh_postgres, tmp_path, test)


def test_what_a_partner_sends_after_the_deadline_is_kept_once(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = Later(PENDING)
        async with serving(made.worker()):
            search = await made.accept("p", seconds=1.5)
            ended = await made.until(search)
        [leg] = ended.legs
        assert (leg.state, ended.status) == (LegState.TIMED_OUT, SearchStatus.INCOMPLETE)
        query = {"transactionId": leg.transaction_id, "taskId": TASK}
        take = partial(made.callbacks().take, leg.partner)
        assert await take({**query, "taskId": "another"}, b"[]") is Taken.UNKNOWN
        assert await take(query, b"[") is Taken.NO_NEWS
        assert (await made.leg(search, "p")).state is LegState.TIMED_OUT
        assert await take(query, json.dumps([candidate()]).encode()) is Taken.TAKEN
        assert await take(query, b"[]") is Taken.NO_NEWS
        now = await made.read(search)
        assert (now.status, now.legs[0].state) == (SearchStatus.COMPLETE, LegState.ANSWERED)
        assert now.legs[0].reason == "after the deadline"
        assert now.legs[0].item_id is not None

    at_desk(fresh_postgres, tmp_path, test)


def test_what_a_partner_sends_after_the_deadline_of_a_cancelled_search_is_not(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(made: Desk, partner: RawPartner) -> None:
        partner.act = Later(PENDING)
        service = SearchService(made.work, made.searches, None, made.clock)  # type: ignore[arg-type]
        async with serving(made.worker()):
            search = await made.accept("p", seconds=1.5)
            leg = (await made.until(search)).legs[0]
        query = {"transactionId": leg.transaction_id, "taskId": TASK}
        async with made.work.begin() as tx:
            await tx.write(
                "INSERT INTO search_leg (transaction_id, search_id, partner, state, refusals, calls, polls,"
                " requested_at, deadline_at, due_at) SELECT 'txn_other', search_id, 'q', 'pending', refusals, 1, 0,"
                " requested_at, deadline_at, due_at FROM search_leg WHERE transaction_id = %s",
                (leg.transaction_id,),
            )
        await service.cancel(ANALYST, search)
        assert await made.callbacks().take(leg.partner, query, json.dumps([candidate()]).encode()) is Taken.NO_NEWS
        assert (await made.leg(search, "p")).state is LegState.TIMED_OUT

    at_desk(fresh_postgres, tmp_path, test)


async def answered_after_cancelling(made: Desk, partner: RawPartner) -> tuple[Taken, LegState]:
    """A partner's own late answer to a leg that its requester has cancelled."""
    partner.act = Later(PENDING)
    service = SearchService(made.work, made.searches, None, made.clock)  # type: ignore[arg-type]
    async with serving(made.worker()):
        search = await made.accept("p", seconds=60)
        waiting = await made.until(search, LegState.PENDING)
        await service.cancel(ANALYST, search)
        query = {"transactionId": waiting.legs[0].transaction_id, "taskId": TASK}
        taken = await made.callbacks().take(waiting.legs[0].partner, query, json.dumps([candidate()]).encode())
    return taken, (await made.leg(search, "p")).state


def test_an_answer_after_the_cancellation_is_no_news(fresh_postgres: Database, tmp_path: Path) -> None:
    assert at_desk(fresh_postgres, tmp_path, answered_after_cancelling) == (Taken.NO_NEWS, LegState.CANCELLED)


def test_traitor_that_takes_an_answer_after_the_cancellation_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def any_state(self: Any, tx: Any, partner_id: Any, query: Any) -> Any:
        return await self._searches.hold_leg(tx, query["transactionId"])

    async def whatever(self: Settling, actor: Any, transaction_id: Any, entry: Any, outcome: Any, late: bool) -> None:
        del late
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, transaction_id)
            assert held is not None
            await self._end(tx, actor, held[0], held[1], LegState.ANSWERED, None, None)

    monkeypatch.setattr(callbacks_module.Callbacks, "_waiting", any_state)
    monkeypatch.setattr(Settling, "settle", whatever)
    monkeypatch.setattr(Search, "cancelled", False)
    assert at_desk(fresh_postgres, tmp_path, answered_after_cancelling)[1] is not LegState.CANCELLED
