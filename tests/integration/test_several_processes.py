"""Two API and two worker processes with two policy folders on one PostgreSQL: hosts, as far as the broker can tell."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from broker.api.dev_issuer import issue
from broker.kernel.words import Role
from broker.policy.source import digest_of, read_folder
from tests.integration.chaos import Asking, token
from tests.support.fleet import Fleet, Ledger, variables
from tests.support.postgres import Database
from tests.support.programs import eventually, reachable_folder

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("hosts")]
SOON = 10.0
"""Seconds; the machine that runs the suite may be busy. docs/scaling.md has what was measured."""


@contextmanager
def hosts(database: Database, folder: Path, ledger: Ledger, *names: str, **more: str) -> Iterator[dict[str, Fleet]]:
    """Fleets with a policy folder each and the same keys."""
    made: dict[str, Fleet] = {}
    try:
        for name in names:
            settings = variables(
                folder / "home", database.app_url, database.owner_url, ledger.urls, folder / f"policies-{name}"
            )
            made[name] = Fleet({**settings, **more}, folder / f"{name}.log")
        yield made
    finally:
        for fleet in made.values():
            fleet.end()


def ready(fleet: Fleet) -> bool:
    try:
        return httpx.get(f"{fleet.url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def told(fleet: Fleet, home: Path, path: str, agency: str, role: Role) -> Any:
    bearer = issue(
        home,
        sub="ada",
        agency=agency,
        roles=[role],
        training_valid_until=datetime.now(UTC).date(),
        partners=[],
        audience="interagency-request-broker",
        lifetime=timedelta(hours=1),
    )
    headers = {"Authorization": f"Bearer {bearer}"}
    answer = httpx.get(fleet.url + path, headers=headers, timeout=20, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


def processes(fleet: Fleet, home: Path) -> Any:
    return told(fleet, home, "/v1/service/processes", "DHS", Role.ADMIN)


def edit(folder: Path, words: str) -> str:
    """What an author does: change a file; the digest that it comes to."""
    file = folder / "owners" / "DOS.csv"
    draft = folder.parent / "draft"
    draft.write_text(file.read_text("utf-8") + f"# {words}\n", "utf-8")
    draft.replace(file)
    return digest_of(read_folder(folder))


def test_an_edit_on_one_host_reaches_all_processes_and_an_older_folder_undoes_nothing(fresh_postgres: Database) -> None:
    with (
        reachable_folder() as folder,
        Ledger().open() as ledger,
        hosts(fresh_postgres, folder, ledger, "a", "b") as at,
    ):
        home, (a, b) = folder / "home", (at["a"], at["b"])
        a.start("api-1")
        assert eventually(lambda: ready(a), 60), a.said()
        for fleet, name in ((a, "worker-1"), (b, "api-2"), (b, "worker-2")):
            fleet.start(name)
        assert eventually(lambda: ready(b), 60), b.said()
        assert eventually(lambda: len(processes(a, home)["items"]) == 4, 60), a.said()

        # 1. An author edits the folder of host A.
        digest = edit(folder / "policies-a", "edited on A")

        def everywhere() -> bool:
            said = processes(b, home)
            return said["in_force"] == digest and {one["digest"] for one in said["items"]} == {digest}

        assert eventually(everywhere, SOON + 10), (a.said(), b.said())
        with psycopg.connect(fresh_postgres.owner_url) as owner:
            row = owner.execute(
                "SELECT extract(epoch FROM max(p.digest_since) - max(f.activated_at)) FROM process p, policy_in_force f"
            ).fetchone()
        assert row is not None
        print(f"policy in force to last process loaded: {row[0]:.2f} s")
        assert row[0] < SOON

        # 2. Host B's folder was not changed: it follows, and says that it differs.
        current = told(b, home, "/v1/policies/current", "DHS", Role.AUDITOR)
        assert (current["digest"], current["in_force"]) == (digest, digest)
        assert current["differs"]["folder_digest"] == digest_of(read_folder(folder / "policies-b")) != digest
        assert told(a, home, "/v1/policies/current", "DHS", Role.AUDITOR)["differs"] is None

        # 3. It is started anew with its older folder, and still follows.
        b.kill("api-2")
        assert eventually(lambda: ready(b), 60), b.said()
        assert told(b, home, "/v1/policies/current", "DHS", Role.AUDITOR)["in_force"] == digest

        # 4. Who was killed is seen to be silent, and who ends in order is gone at once.
        a.members["worker-1"].terminate()
        a.members.pop("worker-1").wait(30)
        assert sum(one["kind"] == "worker" for one in processes(a, home)["items"]) == 1


def test_a_search_under_way_at_a_worker_that_is_asked_to_end_completes_at_another(fresh_postgres: Database) -> None:
    with reachable_folder() as folder, Ledger().open() as ledger, hosts(fresh_postgres, folder, ledger, "a") as at:
        fleet, home = at["a"], folder / "home"
        for name in ("api-1", "worker-1"):
            fleet.start(name)
        assert eventually(lambda: ready(fleet), 60), fleet.said()
        asking = Asking(fleet.url, token(home), deadline_seconds=120)
        ledger.slowest = 600.0
        asking.search(asking.case())
        (search,) = asking.accepted
        assert eventually(lambda: sum(sum(of.values()) for of in ledger.calls.values()) >= 5), fleet.said()
        ledger.slowest = 0.1
        fleet.members["worker-1"].send_signal(signal.SIGTERM)
        assert fleet.members.pop("worker-1").wait(20) == 0
        fleet.start("worker-2")

        def done() -> bool:
            with psycopg.connect(fresh_postgres.owner_url) as owner:
                rows = owner.execute("SELECT state FROM search_leg WHERE search_id = %s", [search]).fetchall()
            return [row[0] for row in rows] == ["answered"] * 5

        assert eventually(done, 40), fleet.said()
        # Asked again, under the same transaction id and with the same bytes: one search for each partner.
        assert {len(of) for of in ledger.bodies.values()} == {1}
        assert all(len(bodies) == 1 for of in ledger.bodies.values() for bodies in of.values())


def test_an_api_that_is_asked_to_end_says_so_first_and_lets_nobody_hang(fresh_postgres: Database) -> None:
    with (
        reachable_folder() as folder,
        Ledger().open() as ledger,
        hosts(fresh_postgres, folder, ledger, "a", BROKER_DRAIN_SECONDS="2") as at,
    ):
        fleet, home = at["a"], folder / "home"
        fleet.start("api-1")
        assert eventually(lambda: ready(fleet), 60), fleet.said()
        bearer = token(home)
        asking = Asking(fleet.url, bearer, deadline_seconds=120)
        asking.search(asking.case())
        (search,) = asking.accepted
        headers, answers = {"Authorization": f"Bearer {bearer}"}, []

        def wait_for(path: str) -> None:
            answers.append(httpx.get(fleet.url + path, headers=headers, timeout=60, trust_env=False))

        paths = (f"/v1/searches/{search}?wait=60", f"/v1/searches/{search}/events")
        waiting = [threading.Thread(target=wait_for, args=(path,)) for path in paths]
        for one in waiting:
            one.start()
        time.sleep(1.0)
        began = time.monotonic()
        process = fleet.members.pop("api-1")
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        # It still answers, and whoever spreads calls over hosts can see that it should be left alone.
        assert httpx.get(f"{fleet.url}/readyz", timeout=5, trust_env=False).status_code == 503
        assert httpx.get(f"{fleet.url}/healthz", timeout=5, trust_env=False).status_code == 200
        for one in waiting:
            one.join(10)
        assert sorted(answer.status_code for answer in answers) == [200, 200]
        process.wait(20)
        assert time.monotonic() - began < 15
        with psycopg.connect(fresh_postgres.owner_url) as owner:
            assert owner.execute("SELECT count(*) FROM process").fetchone() == (0,)
