"""A process that starts beside a bad policy folder works with the policy in force, and says what is wrong."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.kernel.errors import ConfigurationError
from broker.policy.faults import PolicyInvalid
from broker.policy.source import digest_of, read_folder
from broker.processes.model import ProcessKind
from broker.settings import Settings
from broker.wiring.parts import Parts, parts
from broker.wiring.policies import PolicyWatch
from tests.support.policy_files import appended, shipped, written
from tests.support.postgres import Database
from tests.support.programs import eventually, reachable_folder
from tests.support.stack import Stack, running_stack

BAD = b"p, DOS, any, release, any, any, nothing, Allow\n"


def started(database: Database, home: Path, folder: Path, test: Any) -> None:
    async def run() -> None:
        settings = Settings(_env_file=None, home=home, database_url=database.app_url, policies=folder)
        async with parts(settings, ProcessKind.API) as held:
            watch = PolicyWatch(held)
            await watch.look()
            await test(held, watch)

    asyncio.run(run())


async def nothing(_held: Parts, _watch: PolicyWatch) -> None:
    pass


def in_force(database: Database) -> str:
    with database.owner() as owner:
        row = owner.execute("SELECT digest FROM policy_in_force").fetchone()
    assert row is not None
    return str(row[0])


def test_a_bad_folder_is_told_and_a_mended_one_is_taken(fresh_postgres: Database, tmp_path: Path) -> None:
    folder = written(shipped(), tmp_path / "policies")
    before, file = digest_of(read_folder(folder)), folder / "owners" / "DOS.csv"
    good = file.read_bytes()
    started(fresh_postgres, tmp_path, folder, nothing)
    file.write_bytes(good + BAD)

    async def beside(held: Parts, watch: PolicyWatch) -> None:
        assert held.policies.current.digest == before
        assert held.policies.last_error is not None
        await watch.look()
        with fresh_postgres.owner() as owner:
            told = owner.execute("SELECT count(*) FROM audit_entry WHERE tag = 'policy:bundle:refused'").fetchone()
        assert told == (1,)
        file.write_bytes(good + b"# mended\n")
        await watch.look()
        assert held.policies.last_error is None
        assert in_force(fresh_postgres) == held.policies.current.digest == digest_of(read_folder(folder)) != before

    started(fresh_postgres, tmp_path, folder, beside)


def test_an_older_folder_that_was_bad_for_a_while_undoes_nothing(fresh_postgres: Database, tmp_path: Path) -> None:
    older = written(shipped(), tmp_path / "older")
    started(fresh_postgres, tmp_path, older, nothing)
    newer = written(appended("owners/DOS.csv", "# newer"), tmp_path / "newer")

    async def edited_elsewhere(_held: Parts, watch: PolicyWatch) -> None:
        file = newer / "owners" / "DOS.csv"
        file.write_bytes(file.read_bytes() + b"# and newer\n")
        await watch.look()

    started(fresh_postgres, tmp_path, newer, edited_elsewhere)
    decided = in_force(fresh_postgres)
    assert decided == digest_of(read_folder(newer))
    file = older / "owners" / "DOS.csv"
    good = file.read_bytes()
    file.write_bytes(good + BAD)

    async def mended(held: Parts, watch: PolicyWatch) -> None:
        file.write_bytes(good)
        await watch.look()
        assert held.policies.last_error is None
        assert held.policies.current.digest == in_force(fresh_postgres) == decided

    started(fresh_postgres, tmp_path, older, mended)


def test_with_nothing_in_force_a_bad_folder_refuses_the_start(fresh_postgres: Database, tmp_path: Path) -> None:
    folder = written({**shipped(), "owners/DOS.csv": BAD}, tmp_path / "policies")
    with pytest.raises(PolicyInvalid):
        started(fresh_postgres, tmp_path, folder, nothing)
    with pytest.raises(ConfigurationError):
        started(fresh_postgres, tmp_path, tmp_path / "nowhere", nothing)


@pytest.mark.processes
def test_what_is_started_again_beside_a_bad_folder_serves_on() -> None:
    elsewhere = dict.fromkeys(("dos-ccd", "state-dmv", "vendor-lpr", "contractor-checkin"), "http://127.0.0.1:9")
    with reachable_folder() as place:
        folder = written(shipped(), place / "policies")
        with running_stack(BROKER_POLICIES=str(folder), BROKER_PARTNER_URLS=json.dumps(elsewhere)) as stack:
            (folder / "owners" / "DOS.csv").write_bytes(BAD)
            for command in ("api", "worker", "serve"):
                stack.wait_for(command, not_in=stack.kill_process(command))
                assert eventually(lambda: _serves(stack), 120), stack.said()
            author = stack.client("pat", "DHS", ["policy_author"])
            now = author.get("/v1/policies/current").json()
            assert now["last_error"] is not None
            assert now["digest"] == now["in_force"] == digest_of(shipped())


def _serves(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
