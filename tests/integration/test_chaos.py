"""Accepted is done, or failed with a reason: whoever is killed, and however often."""

import os
import random
import time
from dataclasses import asdict

import pytest

from broker.migrations.run import upgrade
from broker.storage.embedded import EmbeddedPostgres, remove_home
from tests.integration.chaos import Asking, account, all_asked, at_random, fall, settled, token
from tests.support.figures import keep
from tests.support.fleet import PARTNERS, Fleet, Ledger, variables
from tests.support.postgres import Database
from tests.support.programs import eventually, reachable_folder

SEED = int(os.environ.get("CHAOS_SEED", "20170101"))


def ready(fleet: Fleet) -> bool:
    import httpx

    try:
        return httpx.get(f"{fleet.url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.processes
def test_forty_searches_survive_three_kills_of_workers(fresh_postgres: Database) -> None:
    with reachable_folder() as folder, Ledger(seed=SEED).open() as ledger:
        settings = variables(
            folder / "home", fresh_postgres.app_url, fresh_postgres.owner_url, ledger.urls, folder / "policies"
        )
        fleet = Fleet(settings, folder / "fleet.log")
        try:
            for name in ("api-1", "worker-1", "worker-2"):
                fleet.start(name)
            assert eventually(lambda: ready(fleet), 60), fleet.said()
            asking = Asking(fleet.url, token(folder / "home"), deadline_seconds=240)
            chance, due = random.Random(SEED), [1.0, 3.0, 5.0]
            began = time.monotonic()

            def trouble() -> None:
                time.sleep(0.1)
                if due and time.monotonic() - began > due[0]:
                    due.pop(0)
                    fleet.kill(at_random(fleet, chance, ("worker",)))

            all_asked(asking, 40, 4, trouble)
            while due:
                trouble()
            assert settled(fresh_postgres.owner_url, 230, lambda: None), fleet.said()
        finally:
            fleet.end()
        seen = account(fresh_postgres.owner_url, asking, ledger)
    assert asking.refused == []
    assert seen.wrong == []
    assert (seen.accepted, seen.complete, seen.lost, seen.stuck_past_deadline) == (40, 40, 0, 0), seen.leg_states
    assert seen.bodies_per_transaction == 1
    assert fleet.kills["worker"] == 3


@pytest.mark.processes
def test_a_fall_of_the_database_ends_no_process_and_fills_no_log() -> None:
    with reachable_folder() as folder, Ledger(seed=SEED).open() as ledger:
        database = EmbeddedPostgres(folder / "database")
        endpoint = database.start()
        settings = variables(folder / "home", endpoint.app_url, endpoint.owner_url, ledger.urls, folder / "policies")
        fleet = Fleet(settings, folder / "fleet.log")
        try:
            upgrade(endpoint.owner_url)
            for name in ("api-1", "worker-1"):
                fleet.start(name)
            assert eventually(lambda: ready(fleet), 60), fleet.said()
            asking = Asking(fleet.url, token(folder / "home"), deadline_seconds=120)
            case = asking.case()
            asking.search(case)
            fall(database)
            time.sleep(2)
            assert database.tend() == endpoint
            assert eventually(lambda: ready(fleet), 60), fleet.said()
            asking.search(case)
            assert settled(endpoint.owner_url, 60, lambda: None), fleet.said()
            seen = account(endpoint.owner_url, asking, ledger)
            fleet.tend()
        finally:
            fleet.end()
            database.stop()
            remove_home(folder / "database")
        said = [line for line in (folder / "fleet.log").read_text(errors="replace").splitlines() if "Traceback" in line]
    assert (seen.complete, seen.wrong) == (2, [])
    assert fleet.kills == {}
    assert said == []


@pytest.mark.deep
@pytest.mark.processes
def test_a_thousand_searches_while_processes_are_killed_and_the_database_falls() -> None:
    searches = int(os.environ.get("CHAOS_SEARCHES", "1000"))
    kills, falls = int(os.environ.get("CHAOS_KILLS", "60")), int(os.environ.get("CHAOS_FALLS", "10"))
    began = time.monotonic()
    with reachable_folder() as folder, Ledger(seed=SEED).open() as ledger:
        database = EmbeddedPostgres(folder / "database")
        endpoint = database.start()
        settings = variables(folder / "home", endpoint.app_url, endpoint.owner_url, ledger.urls, folder / "policies")
        fleet = Fleet(settings, folder / "fleet.log")
        fallen = 0
        try:
            upgrade(endpoint.owner_url)
            for name in ("api-1", "api-2", "worker-1", "worker-2"):
                fleet.start(name)
            assert eventually(lambda: ready(fleet), 120), fleet.said()
            asking = Asking(fleet.url, token(folder / "home"), deadline_seconds=600)
            chance = random.Random(SEED)
            times = {"kill": time.monotonic() + 3, "fall": time.monotonic() + 10}

            def trouble() -> None:
                nonlocal fallen
                time.sleep(0.1)
                fleet.tend()
                if time.monotonic() > times["kill"]:
                    times["kill"] = time.monotonic() + chance.uniform(4, 7)
                    fleet.kill(at_random(fleet, chance, ("api", "worker")))
                if time.monotonic() > times["fall"]:
                    times["fall"] = time.monotonic() + chance.uniform(15, 25)
                    fallen += 1
                    fall(database)
                    assert database.tend() == endpoint

            all_asked(asking, searches, 3, trouble)
            while fleet.kills["api"] + fleet.kills["worker"] < kills or fallen < falls:
                trouble()
            assert settled(endpoint.owner_url, 700, fleet.tend), fleet.said()
            seen = account(endpoint.owner_url, asking, ledger)
        finally:
            fleet.end()
            database.stop()
            remove_home(folder / "database")
    figures = {
        "seed": SEED,
        "kills": dict(fleet.kills),
        "database_falls": fallen,
        "tries": asking.tries,
        "seconds": round(time.monotonic() - began),
        **asdict(seen),
    }
    what = f"{searches} searches of {len(PARTNERS)} partners, 2 API and 2 worker processes, killed at random"
    keep("chaos", what, figures)
    assert asking.refused == []
    assert seen.wrong == []
    assert seen.accepted == seen.complete + seen.failed_with_reason == searches
    assert (seen.lost, seen.stuck_past_deadline, seen.bodies_per_transaction) == (0, 0, 1)
