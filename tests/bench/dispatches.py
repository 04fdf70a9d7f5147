"""Benchmark 3: what the broker adds between accepting a search and a partner's answer, and what legs that wait cost."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import psycopg

from adapters.faces.samples import hit_probe
from broker.search.probe import draw_anew
from tests.bench.ground import Database, Ground
from tests.bench.report import ratio, say
from tests.bench.searches import _search
from tests.support.desk import desk
from tests.support.fleet import SYNCHRONOUS, Fleet, Ledger, variables

PARTNERS = SYNCHRONOUS[:2]
_FLOOR = "floor: the calls alone, from one client"


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    searches: int
    workers: tuple[int, ...]
    rate: float
    seconds: float
    waiting: int
    idle_seconds: float
    slow_rounds: int


def measure(ground: Ground, extent: Extent) -> dict[str, Any]:
    """The whole benchmark."""
    folder = ground.home
    ended = _end_to_end(ground, extent, folder)
    say("measured end to end")
    accepting = _open_loop(ground, extent)
    say("measured accepting at a constant rate")
    waiting = _waiting(ground, extent, folder)
    say("measured legs that wait")
    floor = ended[0]["per_second"]
    return {
        "end_to_end": ended,
        "accepting": accepting,
        "waiting": waiting,
        "ratios": {
            f"floor per search end to end, {one['workers']} workers": ratio(floor, one["per_second"])
            for one in ended[1:]
        }
        | {
            "idle CPU with waiting legs to none": ratio(waiting["cpu_share"], waiting["cpu_share_without"]),
            "memory with waiting legs to none": ratio(waiting["memory_mib"], waiting["memory_mib_without"]),
        },
    }


@contextmanager
def _fleet(ground: Ground, database: Database, folder: Path, ledger: Ledger, workers: int) -> Iterator[Fleet]:
    settings = variables(ground.home, database.app_url, database.owner_url, ledger.urls, folder / "policies")
    fleet = Fleet(settings, folder / "fleet.log")
    try:
        fleet.start("api-1")  # It puts the policy in force.
        _eventually(lambda: _ready(fleet.url))
        for number in range(workers):
            fleet.start(f"worker-{number}")
        # A worker is there when its job library says so.
        _eventually(lambda: _count(database, "SELECT count(*) FROM procrastinate_workers") == workers)
        time.sleep(1.0)
        yield fleet
    finally:
        fleet.end()


def _end_to_end(ground: Ground, extent: Extent, folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with Ledger(slowest=0.0).open() as ledger:
        rows.append({"name": _FLOOR, "workers": 0, "per_second": _floor(ledger, extent.searches)})
        for workers in extent.workers:
            database = ground.database(f"bench_dispatch_{workers}")
            with _fleet(ground, database, folder, ledger, workers):
                began = time.monotonic()
                _accept(database, folder, ledger, extent.searches)
                _eventually(lambda database=database: _count(database, _OPEN_LEGS) == 0, 120)
                took = time.monotonic() - began
            states = _states(database)
            rows.append(
                {
                    "name": f"accepted in one go, {workers} worker processes",
                    "workers": workers,
                    "per_second": round(extent.searches / took, 1),
                    "legs": states,
                }
            )
        database = ground.database("bench_slowest")
        with _fleet(ground, database, folder, ledger, 1):
            ledger.slowest = 0.0
            added = []
            for _ in range(extent.slow_rounds):
                _accept(database, folder, ledger, 1)
                _eventually(lambda: _count(database, _OPEN_LEGS) == 0, 20)
            with psycopg.connect(database.owner_url) as connection:
                spans = connection.execute(
                    "SELECT extract(epoch FROM max(ended_at) - min(requested_at)) * 1000 FROM search_leg GROUP BY search_id"
                ).fetchall()
            added = sorted(float(one[0]) for one in spans)
    rows[-1]["added_over_slowest_partner_ms"] = {"p50": round(_at(added, 0.5), 1), "p99": round(_at(added, 0.99), 1)}
    return rows


def _open_loop(ground: Ground, extent: Extent) -> dict[str, Any]:
    """Calls begin when they are due, whether or not the ones before were answered; latency counts from then."""
    database = ground.database("bench_open_loop")
    took: list[float] = []
    with ground.broker(database, with_worker=False) as url:
        call = _search(ground, url, hit_probe(0))
        began = time.monotonic() + 1.0

        def one(number: int) -> None:
            due = began + number / extent.rate
            time.sleep(max(0.0, due - time.monotonic()))
            headers = {**call.headers, "Idempotency-Key": f"open-loop-{number}"}
            answer = httpx.post(f"{url}{call.path}", content=call.body, headers=headers, timeout=60, trust_env=False)
            answer.raise_for_status()
            took.append((time.monotonic() - due) * 1000)

        threads = [
            threading.Thread(target=one, args=(number,)) for number in range(round(extent.rate * extent.seconds))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    took.sort()
    return {
        "per_second": extent.rate,
        "calls": len(took),
        "answered": len(took),
        "p50_ms": round(_at(took, 0.5), 1),
        "p99_ms": round(_at(took, 0.99), 1),
    }


def _waiting(ground: Ground, extent: Extent, folder: Path) -> dict[str, Any]:
    database = ground.database("bench_waiting")
    with Ledger().open() as ledger, _fleet(ground, database, folder, ledger, 1) as fleet:
        number = fleet.members["worker-0"].pid
        without = _idle(number, extent.idle_seconds)
        with psycopg.connect(database.owner_url, autocommit=True) as connection:
            _accept(database, folder, ledger, 1)
            _eventually(lambda: _count(database, _OPEN_LEGS) == 0, 30)
            connection.execute(_MANY, {"legs": extent.waiting, "partner": PARTNERS[0]})
            connection.execute("ANALYZE search_leg")
        found = _idle(number, extent.idle_seconds)
    return {
        "legs": extent.waiting,
        "memory_mib_without": without[0],
        "cpu_share_without": without[1],
        "memory_mib": found[0],
        "cpu_share": found[1],
    }


_OPEN_LEGS = "SELECT count(*) FROM search_leg WHERE state IN ('queued', 'sent', 'pending')"
# Legs that a partner has taken and will be asked about later, as they are after some polls.
_MANY = """
WITH one AS (SELECT * FROM search LIMIT 1), made AS (
  INSERT INTO search SELECT 'sea_' || lpad(n::text, 26, 'a'), component, case_id, requested_by, clock_timestamp(),
    clock_timestamp() + interval '1 hour', purpose, predicate, evidentiary_basis, civil_enforcement_only, exigent,
    training_valid, terms FROM one, generate_series(1, %(legs)s) n RETURNING id)
INSERT INTO search_leg (transaction_id, search_id, partner, state, task_id, calls, requested_at, deadline_at, polls, due_at,
  refusals)
SELECT 'txn_' || right(id, 26), id, %(partner)s, 'pending', 'task-' || right(id, 26), 1, clock_timestamp(),
  clock_timestamp() + interval '1 hour', 5, clock_timestamp() + interval '10 minutes', '[]' FROM made
"""


def _accept(database: Database, folder: Path, ledger: Ledger, searches: int) -> None:
    """So many accepted searches, written as accepting writes them, without its HTTP."""

    async def run() -> None:
        urls = {name: ledger.urls[name] for name in PARTNERS}
        async with desk(_Reached(database), folder, urls, sealing=_sealing_key(folder)) as made:
            await asyncio.gather(*(made.accept(*PARTNERS, seconds=300) for _ in range(searches)))

    asyncio.run(run())


class _Reached:
    """A database as the desk wants it named."""

    def __init__(self, database: Database) -> None:
        self.app_url = database.app_url


def _sealing_key(folder: Path) -> bytes:
    """The key with which the fleet's home seals."""
    from broker.storage.keys import load_or_create
    from broker.storage.sealing import make_key

    return load_or_create(folder / "keys" / "sealing.key", make_key)


def _floor(ledger: Ledger, searches: int) -> float:
    image = draw_anew(hit_probe(0)).jpeg

    async def run() -> float:
        places = asyncio.Semaphore(32)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:

            async def call(name: str, number: int) -> None:
                async with places:
                    url = f"{ledger.urls[name]}/v1/identify/floor?transactionId=floor-{number}"
                    (await client.post(url, content=image)).raise_for_status()

            began = time.monotonic()
            await asyncio.gather(*(call(name, number) for number in range(searches) for name in PARTNERS))
            return time.monotonic() - began

    return round(searches / asyncio.run(run()), 1)


def _idle(number: int, seconds: float) -> tuple[float, float]:
    """Memory in MiB and share of one core of a process that has nothing to do for so long."""
    time.sleep(2.0)
    before, began = _cpu_seconds(number), time.monotonic()
    time.sleep(seconds)
    used = (_cpu_seconds(number) - before) / (time.monotonic() - began)
    pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1), round(used, 4)


def _cpu_seconds(number: int) -> float:
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _states(database: Database) -> dict[str, int]:
    with psycopg.connect(database.owner_url) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM search_leg GROUP BY state").fetchall())


def _count(database: Database, query: str) -> int:
    with psycopg.connect(database.owner_url) as connection:
        return int(connection.execute(query).fetchone()[0])


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError("what was waited for did not come in time")
        time.sleep(0.05)


def _at(values: list[float], share: float) -> float:
    return values[0] if len(values) < 2 else quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
