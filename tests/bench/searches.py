"""Benchmark 2: accepted searches per second beside one durable insert, the share of re-drawing, and with a worker."""

import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from adapters.faces.samples import write_samples
from broker.kernel.words import Role
from broker.search.probe import draw_anew
from tests.bench import floors
from tests.bench.calling import open_case
from tests.bench.ground import PARTNERS, Database, Ground
from tests.bench.load import Call, drive
from tests.bench.matter import ANALYST
from tests.bench.report import ratio, say
from tests.bench.sampling import Sample, timed

_BOUNDARY = "bench-boundary-7d0e1f"
_HELLO = "floor: FastAPI hello"
_INSERT = "floor: one durable insert over FastAPI"
_REDRAW = "floor: the same, probe re-drawn first"
_ACCEPT = "POST /v1/searches, worker not running"
_DRAIN_SECONDS = 90


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int
    seconds: float
    concurrency: int
    with_worker: int


def measure(ground: Ground, extent: Extent) -> dict[str, Any]:
    """The whole benchmark."""
    with tempfile.TemporaryDirectory(prefix="broker bench ") as folder:
        write_samples(Path(folder))
        probe = min(Path(folder).glob("hit-*.jpg")).read_bytes()
    drawn = Sample("re-drawing the probe, in process")
    for _ in range(extent.rounds):
        drawn.add(timed(lambda: draw_anew(probe), 100))
    size = draw_anew(probe)
    rows = _accepting(ground, extent, probe)
    say("measured without a worker")
    working = _with_worker(ground, extent, probe)
    say("measured with a worker")
    return {
        "probe": {"bytes": len(probe), "width": size.width, "height": size.height},
        "redrawing": drawn.summary(),
        "http": rows,
        "with_worker": working,
        "ratios": _ratios(rows, drawn, working, extent),
    }


def _accepting(ground: Ground, extent: Extent, probe: bytes) -> list[dict[str, Any]]:
    database = ground.database("bench_searches")
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(floors.TABLE)
    with ExitStack() as running:
        floor = running.enter_context(ground.floors(database))
        broker = running.enter_context(ground.broker(database, with_worker=False))
        image = {"Content-Type": "image/jpeg"}
        asked = {
            _HELLO: (floor, Call("POST", "/hello", image, probe)),
            _INSERT: (floor, Call("POST", "/insert", image, probe)),
            _REDRAW: (floor, Call("POST", "/redraw-insert", image, probe)),
            _ACCEPT: (broker, _search(ground, broker, probe)),
        }
        return _in_turns(asked, extent)


def _in_turns(asked: dict[str, tuple[str, Call]], extent: Extent) -> list[dict[str, Any]]:
    rows = []
    for concurrency in (1, extent.concurrency):
        samples = {name: Sample(name) for name in asked}
        rates: dict[str, list[float]] = {name: [] for name in asked}
        for number in range(extent.rounds + 1):
            for name, (url, call) in asked.items():
                seconds = extent.seconds if number else 1.0
                answer = drive(url, [call], concurrency=concurrency, seconds=seconds)
                if not set(answer.statuses) <= {"200", "202"}:
                    raise RuntimeError(f"{name} was answered with {answer.statuses}")
                if number:  # The first round warms up.
                    samples[name].add(answer.milliseconds)
                    rates[name].append(round(answer.per_second, 1))
        rows += [
            {
                "concurrency": concurrency,
                "per_second": sorted(rates[name])[len(rates[name]) // 2],
                "per_second_rounds": rates[name],
                **samples[name].summary(),
            }
            for name in asked
        ]
    return rows


def _with_worker(ground: Ground, extent: Extent, probe: bytes) -> dict[str, Any]:
    database = ground.database("bench_worker")
    with ground.broker(database, with_worker=True) as url:
        call = _search(ground, url, probe)
        answer = drive(
            url, [call], concurrency=extent.concurrency, seconds=extent.seconds * 6, limit=extent.with_worker
        )
        if set(answer.statuses) != {"202"}:
            raise RuntimeError(f"searches were answered with {answer.statuses}")
        return {
            "accepted": len(answer.milliseconds),
            "accepted_per_second": round(answer.per_second, 1),
            "concurrency": extent.concurrency,
            **_drained(database),
        }


def _drained(database: Database) -> dict[str, Any]:
    """Wait until every leg is final; how fast searches were completed, and in which states their legs ended."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    states = "SELECT state, count(*) FROM search_leg GROUP BY state ORDER BY state"
    ended = (
        "SELECT count(DISTINCT search_id), extract(epoch FROM max(ended_at) - min(requested_at)) FROM search_leg"
        " WHERE ended_at IS NOT NULL"
    )
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        while True:
            found = dict(connection.execute(states).fetchall())
            if not {"queued", "sent", "pending"} & set(found) or time.monotonic() > deadline:
                break
            time.sleep(0.25)
        searches, seconds = connection.execute(ended).fetchone()
    return {
        "leg_states": found,
        "completed": searches,
        "completed_per_second": round(searches / float(seconds), 1) if seconds else None,
    }


def _search(ground: Ground, url: str, probe: bytes) -> Call:
    token = ground.token(ANALYST.sub, ANALYST.agency, Role.ANALYST)
    case = open_case(url, token)
    body = _multipart(json.dumps(_terms(case)).encode(), probe)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    return Call("POST", "/v1/searches", headers, body, fresh_key=True)


def _terms(case: str) -> dict[str, Any]:
    return {
        "case_id": case,
        "predicate": "investigation",
        "purpose": "criminal_investigation",
        "legal_basis": "18 USC 1546 (invented case)",
        "evidentiary_basis": "reasonable_suspicion",
        "basis_text": "Tip and document review; see the case file.",
        "prior_methods": ["name search", "document check"],
        "exigent": False,
        "probe": {
            "kind": "photo",
            "acquisition": "photograph handed in by a witness",
            "acquired_at": datetime(2026, 1, 5, 10, tzinfo=UTC).isoformat(),
            "lawful_acquisition_attested": True,
            "edits": [],
        },
        "partners": list(PARTNERS),
        "max_candidates": 20,
        "deadline_seconds": 60,
    }


def _multipart(request: bytes, probe: bytes) -> bytes:
    def part(name: str, filename: str, kind: str, content: bytes) -> bytes:
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\nContent-Type: {kind}\r\n\r\n'
        )
        return head.encode() + content + b"\r\n"

    return (
        part("request", "", "application/json", request)
        + part("probe", '; filename="probe.jpg"', "image/jpeg", probe)
        + f"--{_BOUNDARY}--\r\n".encode()
    )


def _ratios(rows: list[dict[str, Any]], drawn: Sample, working: dict[str, Any], extent: Extent) -> dict[str, float]:
    rates = {(row["name"], row["concurrency"]): row["per_second"] for row in rows}
    found = {}
    for concurrency in (1, extent.concurrency):
        accepted = rates[_ACCEPT, concurrency]
        found[f"durable inserts per accepted search, {concurrency} at a time"] = ratio(
            rates[_INSERT, concurrency], accepted
        )
        found[f"hellos per accepted search, {concurrency} at a time"] = ratio(rates[_HELLO, concurrency], accepted)
    alone = next(row["median_ms"] for row in rows if row["name"] == _ACCEPT and row["concurrency"] == 1)
    found["share of re-drawing in one accepted search (time, one at a time)"] = ratio(drawn.median, alone)
    found["cores busy re-drawing at full rate"] = round(drawn.median * rates[_ACCEPT, extent.concurrency] / 1000, 2)
    found["accepted per second, worker running to not running"] = ratio(
        working["accepted_per_second"], rates[_ACCEPT, extent.concurrency]
    )
    return found
