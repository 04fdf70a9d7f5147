"""Searches while processes are killed and the database falls: what was accepted, and what became of it."""

import json
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from adapters.faces.samples import hit_probe
from broker.api.dev_issuer import issue
from broker.kernel.words import Role
from broker.storage.embedded import EmbeddedPostgres
from tests.support.fleet import PARTNERS, Fleet, Ledger

_OPEN = ("queued", "sent", "pending")


def token(home: Path) -> str:
    """An analyst's, enrolled for every partner of the fleet."""
    return issue(
        home,
        sub="ana",
        agency="ICE-HSI",
        roles=[Role.ANALYST],
        training_valid_until=datetime.now(UTC).date() + timedelta(days=30),
        partners=list(PARTNERS),
        audience="interagency-request-broker",
        lifetime=timedelta(hours=3),
    )


@dataclass
class Asking:
    """Sends searches, each until it is answered, whoever dies meanwhile; the key makes that one search each."""

    url: str
    bearer: str
    deadline_seconds: float
    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    tries: int = 0

    def case(self) -> str:
        body = {"reference": "HSI-CHAOS", "title": "An invented case"}
        return str(self._until_answered("POST", "/v1/cases", json=body).json()["id"])

    def search(self, case: str) -> None:
        probe = {
            "kind": "photo",
            "acquisition": "handed in by a witness",
            "acquired_at": "2026-01-05T10:00:00Z",
            "lawful_acquisition_attested": True,
            "edits": [],
        }
        terms = {
            "case_id": case,
            "predicate": "investigation",
            "purpose": "criminal_investigation",
            "legal_basis": "18 USC 1546 (invented case)",
            "evidentiary_basis": "reasonable_suspicion",
            "basis_text": "See the case file.",
            "prior_methods": ["name search"],
            "exigent": False,
            "probe": probe,
            "partners": list(PARTNERS),
            "max_candidates": 20,
            "deadline_seconds": self.deadline_seconds,
        }
        files = {
            "request": (None, json.dumps(terms).encode(), "application/json"),
            "probe": ("p.jpg", hit_probe(0), "image/jpeg"),
        }
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = self._until_answered("POST", "/v1/searches", files=files, headers=headers)
        if answer.status_code == 202:
            self.accepted.append(answer.json()["id"])
        else:
            self.refused.append(f"{answer.status_code} {answer.text[:200]}")

    def _until_answered(self, method: str, path: str, **request: Any) -> httpx.Response:
        request["headers"] = {**request.get("headers", {}), "Authorization": f"Bearer {self.bearer}"}
        deadline = time.monotonic() + 180
        while True:
            self.tries += 1
            with suppress(httpx.HTTPError):
                answer = httpx.request(method, self.url + path, timeout=20, trust_env=False, **request)
                if answer.status_code < 500 and answer.status_code != 409:
                    return answer
            assert time.monotonic() < deadline, f"{method} {path} is not answered"
            time.sleep(0.2)


def all_asked(asking: Asking, searches: int, at_once: int, trouble: Callable[[], None]) -> None:
    """Send so many searches, several at a time, while *trouble* is called again and again in this thread."""
    case = asking.case()
    left = iter(range(searches))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            asking.search(case)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(at_once)]
    for one in threads:
        one.start()
    while any(one.is_alive() for one in threads):
        trouble()
    for one in threads:
        one.join()


@dataclass
class Account:
    """What became of what was accepted."""

    accepted: int
    complete: int
    failed_with_reason: int
    lost: int
    stuck_past_deadline: int
    wrong: list[str]
    leg_states: dict[str, int]
    bodies_per_transaction: int
    calls: int
    repeated_calls: int


def fall(database: EmbeddedPostgres) -> None:
    """End the server as `pg_ctl stop -m immediate` does: no checkpoint, no goodbye."""
    assert database._process is not None
    database._process.send_signal(signal.SIGQUIT)
    database._process.wait(60)


def settled(owner_url: str, seconds: float, tend: Callable[[], None]) -> bool:
    """Whether every leg is final in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        tend()
        with suppress(psycopg.Error), psycopg.connect(owner_url) as connection:
            row = connection.execute("SELECT count(*) FROM search_leg WHERE state = ANY(%s)", [list(_OPEN)]).fetchone()
            if row == (0,):
                return True
        time.sleep(0.3)
    return False


def account(owner_url: str, asking: Asking, ledger: Ledger) -> Account:
    """Count, from the database and from what the partners saw, after everything has come to rest."""
    with psycopg.connect(owner_url) as connection:
        rows = connection.execute(
            "SELECT search_id, partner, transaction_id, state, reason, item_id, calls, deadline_at < clock_timestamp()"
            " - interval '1 second' FROM search_leg"
        ).fetchall()
        items = connection.execute("SELECT id, search_id FROM item").fetchall()
        jobs = connection.execute("SELECT count(*) FROM search").fetchone()
    found = set(asking.accepted)
    legs: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        legs.setdefault(row[0], []).append(row)
    good = {"answered", "no_hit"}
    wrong = [f"search {one} is not there in full" for one in found if len(legs.get(one, [])) != len(PARTNERS)]
    wrong += [f"{row[2]}: {row[3]} without a reason" for row in rows if row[3] not in {*good, *_OPEN} and not row[4]]
    wrong += [f"{row[2]}: answered without its item" for row in rows if row[3] in good and row[5] is None]
    if {row[5] for row in rows if row[5]} != {item[0] for item in items}:
        wrong.append("items without a leg, or legs without an item")
    if jobs is not None and jobs[0] != len(found):
        wrong.append(f"{jobs[0]} searches of {len(found)} accepted")
    sent = {row[2] for row in rows}
    for partner, bodies in ledger.bodies.items():
        wrong += [f"{partner}: {len(of)} bodies of {transaction}" for transaction, of in bodies.items() if len(of) > 1]
        wrong += [f"{partner}: {one} is nobody's" for one in bodies if one not in sent]
    complete = sum(all(row[3] in good for row in legs.get(one, [])) for one in found if one in legs)
    final = sum(all(row[3] not in _OPEN for row in legs.get(one, [])) for one in found if one in legs)
    states: dict[str, int] = {}
    for row in rows:
        name = row[3] if row[3] in good else f"{row[3]}: {row[4]}"
        states[name] = states.get(name, 0) + 1
    return Account(
        accepted=len(found),
        complete=complete,
        failed_with_reason=final - complete,
        lost=len(found - set(legs)),
        stuck_past_deadline=sum(row[3] in _OPEN and row[7] for row in rows),
        wrong=wrong,
        leg_states=dict(sorted(states.items())),
        bodies_per_transaction=max((len(of) for bodies in ledger.bodies.values() for of in bodies.values()), default=0),
        calls=sum(sum(of.values()) for of in ledger.calls.values()),
        repeated_calls=sum(number - 1 for of in ledger.calls.values() for number in of.values()),
    )


def at_random(fleet: Fleet, chance: random.Random, kinds: tuple[str, ...]) -> str:
    """A member of one of these kinds."""
    return chance.choice(sorted(name for name in fleet.members if name.startswith(kinds)))
