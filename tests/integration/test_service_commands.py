"""Commands for whoever runs the service: putting a folder in force, asking after a worker, starting without rights on the schema."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from broker.cli.migrate import migrate
from broker.kernel.errors import ConfigurationError
from broker.policy.source import digest_of, read_folder
from broker.settings import Settings
from broker.storage.embedded import Endpoint
from broker.wiring.traces import provide
from tests.support.policy_files import appended, lean, shipped, written
from tests.support.postgres import Database
from tests.support.programs import ROOT, environment

pytestmark = pytest.mark.processes


def broker(database: Database, home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    variables = {"BROKER_HOME": str(home), "BROKER_DATABASE_URL": database.app_url}
    return subprocess.run(
        [sys.executable, "-m", "broker", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
    )


def in_force(database: Database) -> list[tuple[str, str]]:
    with database.owner() as owner:
        return owner.execute("SELECT digest, activated_by FROM policy_in_force").fetchall()


def test_a_folder_is_put_in_force_by_command_and_the_record_says_who_did_it(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    folder = written(appended("owners/DOS.csv", "# by command"), tmp_path / "policies")
    digest = digest_of(read_folder(folder))
    said = broker(fresh_postgres, tmp_path / "home", "policy", "activate", str(folder))
    assert (said.returncode, said.stdout.split()[0]) == (0, digest), said.stderr
    assert [one for one, _ in in_force(fresh_postgres)] == [digest]
    with fresh_postgres.owner() as owner:
        entries = owner.execute("SELECT actor_sub FROM audit_entry WHERE tag = 'policy:bundle:activated'").fetchall()
    assert len(entries) == 1
    assert entries[0][0].startswith("policy-activate:")
    again = broker(fresh_postgres, tmp_path / "home", "policy", "activate", str(folder))
    assert "already" in again.stdout
    # A policy whose suites do not pass is refused by command, too.
    shutil.rmtree(folder)
    written(lean(shipped()), folder)
    refused = broker(fresh_postgres, tmp_path / "home", "policy", "activate", str(folder))
    assert refused.returncode == 1
    assert [one for one, _ in in_force(fresh_postgres)] == [digest]


def test_a_health_check_of_a_worker_fails_where_there_is_none(fresh_postgres: Database, tmp_path: Path) -> None:
    said = broker(fresh_postgres, tmp_path, "worker", "--check")
    assert said.returncode == 1
    assert "no worker of this host" in said.stderr


def test_the_service_starts_without_rights_on_the_schema_where_nothing_is_to_be_migrated(
    fresh_postgres: Database,
) -> None:
    migrate(Endpoint(owner_url=fresh_postgres.app_url, app_url=fresh_postgres.app_url))


def test_traces_without_their_packages_stop_the_start(tmp_path: Path) -> None:
    provide(Settings(_env_file=None, home=tmp_path))
    wanted = Settings(_env_file=None, home=tmp_path, traces=True)
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigurationError, match="otel"):
            provide(wanted)
    else:
        pytest.skip("the packages are here")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ


def test_all_keys_are_made_at_once_and_kept(tmp_path: Path) -> None:
    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "broker", "keys"],
            cwd=ROOT,
            env=environment(BROKER_HOME=str(tmp_path / "home"), BROKER_POLICIES=str(folder)),
            capture_output=True,
            text=True,
            timeout=120,
        )

    entry = (
        "\n- {id: EX-INBOX, title: An invented agency of the tests, address: 1 Sample Street,"
        " notify: {url: 'https://inbox.example.invalid/messages'}}\n"
    )
    folder = written(appended("agencies.yaml", entry), tmp_path / "policies")
    made = run()
    assert made.returncode == 0, made.stderr
    keys = {file.name: file.read_bytes() for file in (tmp_path / "home" / "keys").iterdir()}
    assert {"sealing.key", "audit-signing.key", "partner-dos-ccd.key", "notify-EX-INBOX.key"} <= keys.keys()
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "home" / "keys").iterdir()} == {0o600}
    again = run()
    assert again.stdout == f"{len(keys)} of {len(keys)} keys were there already\n"
    assert keys == {file.name: file.read_bytes() for file in (tmp_path / "home" / "keys").iterdir()}
