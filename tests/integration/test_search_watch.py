"""However many wait for news of searches, the database is asked by one of them."""

import asyncio
import time
from pathlib import Path

from sqlalchemy import event

from broker.kernel.words import LegState
from broker.search.watch import SearchWatch
from tests.support.desk import desk
from tests.support.postgres import Database


def test_two_hundred_who_wait_cost_one_look(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(fresh_postgres, tmp_path, {"p": "http://127.0.0.1:9", "q": "http://127.0.0.1:9"}) as made:
            watch = SearchWatch(made.work)
            searches = [await made.read(await made.accept("p", "q")) for _ in range(20)]
            begun = 0

            def count(_connection: object) -> None:
                nonlocal begun
                begun += 1

            event.listen(made.work._engine.sync_engine, "begin", count)
            waiting = [asyncio.create_task(watch.news(one, 3)) for one in searches for _ in range(10)]
            await asyncio.sleep(1.0)
            assert begun <= 12
            assert not any(task.done() for task in waiting)
            changed = searches[7]
            began = time.monotonic()
            async with made.work.begin() as tx:
                await made.searches.change_leg(tx, changed.legs[1].transaction_id, state=LegState.SENT.value)
            assert await asyncio.gather(*waiting[70:80]) == [True] * 10
            assert time.monotonic() - began < 1
            assert await asyncio.gather(*waiting[:70], *waiting[80:]) == [False] * 190
            await asyncio.sleep(0.2)
            # Nobody waits, so nobody looks.
            seen = begun
            await asyncio.sleep(0.4)
            assert begun == seen
            assert await watch.news(changed, 1), "what has changed before somebody began to wait is news, too"

    asyncio.run(test())
