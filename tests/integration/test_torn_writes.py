"""The service dies, or its disk and sockets fail, at each single write of an accept and of a release: all or nothing.

A child process does one act on a warm connection; strace makes its Nth write fail, or kills it there.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from adapters.faces.samples import hit_probe
from broker.jobs.queue import JobQueue
from broker.kernel.clock import SystemClock
from broker.kernel.ids import CaseId
from broker.release.model import Release
from broker.search.model import CallerStanding
from broker.search.probe import draw_anew
from broker.search.repository import SearchRepository
from broker.search.service import RUN_JOB, SearchService
from broker.storage.sealing import Sealer
from tests.support.desk import search_terms
from tests.support.figures import keep
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, OUTER_KEY, Workplace, workplace

WRITES = "write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync,rename,renameat,renameat2"
MOST = 80
HARM = {"KILL": "signal=KILL", "EIO": "error=EIO"}
pytestmark = pytest.mark.deep


def usable() -> str | None:
    """Why strace cannot be used here, if it cannot."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()[:200]}"


def child(database: Database, act: Callable[[Workplace], Awaitable[Any]], ready: int, go: int) -> None:
    """In the child: build the services, say so, wait, act once. Never returns."""

    async def run() -> None:
        async with workplace(database) as place:
            os.write(ready, b"r")
            await asyncio.to_thread(os.read, go, 1)
            await act(place)

    try:
        asyncio.run(run())
    except BaseException:  # noqa: BLE001 - whatever the injected failure becomes, the parent looks at the database
        os._exit(7)
    os._exit(0)


def harmed(database: Database, act: Callable[[Workplace], Awaitable[Any]], harm: str, at: int) -> int:
    """Do the act in a child whose *at*th write comes to harm; how it ended."""
    ready, say_ready = os.pipe()
    wait_go, go = os.pipe()
    number = os.fork()
    if number == 0:
        child(database, act, say_ready, wait_go)
    os.close(say_ready)
    assert os.read(ready, 1), "the child ended before it was ready"
    inject = f"inject={WRITES}:{HARM[harm]}:when={at}"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={WRITES}", "-e", inject, "-p", str(number)]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while "TracerPid:\t0" in Path(f"/proc/{number}/status").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.write(go, b"g")
    limit = time.monotonic() + 5
    while True:
        ended, status = os.waitpid(number, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > limit:
            os.kill(number, signal.SIGKILL)
        time.sleep(0.01)
    tracer.wait(10)
    for one in (ready, wait_go, go):
        os.close(one)
    return os.waitstatus_to_exitcode(status)


# A repeated release is decided anew, and that is on record: one decision or more.
_RELEASES = """
SELECT (SELECT count(*) FROM release WHERE item_id = %(it)s), (SELECT count(*) FROM disclosure WHERE item_id = %(it)s),
  (SELECT least(count(*), 1) FROM decision WHERE item_id = %(it)s AND outcome = 'permit'),
  (SELECT count(*) FROM idempotency_key WHERE made IN (SELECT id FROM release WHERE item_id = %(it)s)),
  (SELECT coalesce(max(uses), 0) FROM permission_grant WHERE scope->'items' ? %(it)s)
"""
_SEARCHES = """
WITH made AS (SELECT made AS id FROM idempotency_key WHERE key = %(it)s)
SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM search WHERE id IN (SELECT id FROM made)),
  (SELECT count(*) FROM search_leg WHERE search_id IN (SELECT id FROM made)),
  (SELECT count(*) FROM probe WHERE search_id IN (SELECT id FROM made)),
  (SELECT count(*) FROM procrastinate_jobs WHERE args->>'about' IN (SELECT id FROM made))
"""


def counted(database: Database, query: LiteralString, it: str) -> tuple[int, ...]:
    """How much of the act is there."""
    with psycopg.connect(database.owner_url) as connection:
        row = connection.execute(query, {"it": it}).fetchone()
    assert row is not None
    return tuple(row)


Act = Callable[[Workplace, str], Awaitable[Any]]


def every_write(
    database: Database,
    harm: str,
    act: Act,
    keys: list[str],
    seen: Callable[[str], tuple[int, ...]],
    whole: tuple[int, ...],
) -> int:
    """Let the act come to harm at its first write, its second, … until it has none left; how often it was harmed."""
    nothing, done, hit = (0,) * len(whole), 0, 0
    for at, key in enumerate(keys, start=1):

        async def once(place: Workplace, key: str = key) -> None:
            await act(place, key)

        async def again(key: str = key) -> None:
            async with workplace(database) as place:
                await act(place, key)

        code = harmed(database, once, harm, at)
        assert seen(key) in (nothing, whole), (harm, at, code, seen(key))
        if code == 0:
            assert seen(key) == whole
            done += 1
            if done == 3:
                return hit
        hit += code != 0
        # Who was not answered asks once more with the same key, and has it once.
        asyncio.run(again())
        assert seen(key) == whole, (harm, at, seen(key))
    raise AssertionError("the act has more writes than that")


def told(act: str, harm: str, hit: int) -> None:
    """Keep how often the act came to harm; whatever was torn would have ended the run."""
    what = f"each write of one {act} on the service's side, harmed by {HARM[harm]}: whole or not there, and whole after a repeat"
    keep(f"torn-writes-{act}-{harm.lower()}", what, {"harmed": hit, "inconsistent": 0})
    assert hit >= 5


@pytest.mark.parametrize("harm", sorted(HARM))
def test_a_release_is_whole_or_not_there(fresh_postgres: Database, harm: str) -> None:
    if (why := usable()) is not None:
        pytest.skip(why)

    async def prepare() -> tuple[CaseId, list[str]]:
        async with workplace(fresh_postgres) as place:
            case = await place.case()
            items = [await place.item(case, "DOS") for _ in range(MOST)]
            for item in items:
                await place.grant("DOS", item, max_uses=1)
            return case, items

    case, items = asyncio.run(prepare())

    async def act(place: Workplace, item: str) -> None:
        assert isinstance(await place.release(case, item, key=f"key-{item}"), Release)

    def seen(item: str) -> tuple[int, ...]:
        return counted(fresh_postgres, _RELEASES, item)

    told("release", harm, every_write(fresh_postgres, harm, act, items, seen, (1, 1, 1, 1, 1)))


@pytest.mark.parametrize("harm", sorted(HARM))
def test_an_accepted_search_is_whole_or_not_there(fresh_postgres: Database, harm: str) -> None:
    if (why := usable()) is not None:
        pytest.skip(why)

    async def prepare() -> CaseId:
        async with workplace(fresh_postgres) as place:
            return await place.case()

    case = asyncio.run(prepare())
    probe = draw_anew(hit_probe(0))
    standing = CallerStanding(training_valid=True, partners=frozenset({"cbp-atsp"}))
    terms = search_terms(("cbp-atsp",), 30.0).model_copy(update={"case_id": case})

    async def act(place: Workplace, key: str) -> None:
        jobs = JobQueue(fresh_postgres.app_url, {RUN_JOB: _nothing})
        service = SearchService(place.work, SearchRepository(Sealer(OUTER_KEY)), jobs, SystemClock())
        await service.submit(ANALYST, standing, terms, probe, place.policy, key, key)

    def seen(key: str) -> tuple[int, ...]:
        return counted(fresh_postgres, _SEARCHES, key)

    keys = [f"key-{number}" for number in range(MOST)]
    told("accept", harm, every_write(fresh_postgres, harm, act, keys, seen, (1, 1, 1, 1, 1)))


async def _nothing(_about: str) -> None:
    return
