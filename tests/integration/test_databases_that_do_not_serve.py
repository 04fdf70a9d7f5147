"""A database that does not serve is told in one line, with what is to be done; a later shape is no reason to stop."""

import re
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from broker.cli.connect import check_shape
from broker.cli.migrate import migrate
from broker.kernel.errors import ConfigurationError
from broker.migrations.run import upgrade
from broker.migrations.shape import newest, revisions
from broker.storage.embedded import Endpoint
from tests.support.postgres import OUTSIDE, Database, Server
from tests.support.programs import ROOT, environment

COMMANDS = (
    ("worker",),
    ("serve",),
    ("policy", "activate"),
    ("oversight", "searches"),
    ("audit", "checkpoint"),
)


def broker(url: str, home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "broker", *arguments],
        cwd=ROOT,
        env=environment(BROKER_HOME=str(home), BROKER_DATABASE_URL=url, BROKER_PORT="0"),
        capture_output=True,
        text=True,
        timeout=120,
    )


def of(url: str) -> Endpoint:
    return Endpoint(owner_url=url, app_url=url)


def refused(url: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check_shape(of(url))
    assert "\n" not in caught.value.detail
    return caught.value.detail


def at(url: str, **changed: object) -> str:
    return make_url(url).set(**changed).render_as_string(hide_password=False)  # type: ignore[arg-type]


@contextmanager
def shape(database: Database, revision: str) -> Iterator[None]:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE alembic_version SET version_num = %s", [revision])
    yield


@contextmanager
def answering(word: bytes) -> Iterator[str]:
    """A server that answers the question whether it speaks TLS with *word*, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as connection:
                connection.recv(8)
                connection.sendall(word)
                connection.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield f"postgresql://broker_app:hidden@127.0.0.1:{listening.getsockname()[1]}/broker"


def test_the_revisions_are_those_of_the_migrations() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(ROOT / "broker" / "migrations").replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    assert sorted(one.revision for one in scripts.walk_revisions()) == list(revisions())
    assert scripts.get_current_head() == newest()


def test_beside_a_later_version_an_older_one_goes_on(fresh_postgres: Database) -> None:
    with shape(fresh_postgres, "9999"):
        upgrade(fresh_postgres.owner_url)
        migrate(of(fresh_postgres.app_url))
        check_shape(of(fresh_postgres.app_url))
    with fresh_postgres.owner() as owner:
        assert owner.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


@pytest.mark.processes
def test_on_an_older_shape_every_command_says_that_it_is_to_be_migrated(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    with shape(fresh_postgres, revisions()[-2]):
        for command in COMMANDS:
            said = broker(fresh_postgres.app_url, tmp_path, *command)
            assert said.returncode == 2, said.stderr
            [line] = said.stderr.splitlines()
            assert "run `broker migrate`" in line
        said = broker(fresh_postgres.app_url, tmp_path, "worker", "--check")
        assert said.returncode == 1
        assert "run `broker migrate`" in said.stderr


def test_a_database_without_any_shape_is_to_be_migrated(postgres_server: Server) -> None:
    name = f"broker_test_{secrets.token_hex(6)}"
    empty = postgres_server.create(name, "template0")
    try:
        assert "has no shape yet" in refused(empty.app_url)
        with pytest.raises(ConfigurationError, match=r"may not change the shape.*BROKER_OWNER_DATABASE_URL"):
            migrate(Endpoint(owner_url=empty.app_url, app_url=empty.app_url))
    finally:
        postgres_server.drop(name)


@pytest.mark.processes
def test_with_nothing_there_every_command_ends_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"postgresql://broker_app:hidden@127.0.0.1:{free.getsockname()[1]}/broker"
    for command in (*COMMANDS, ("migrate",)):
        said = broker(url, tmp_path, *command)
        assert said.returncode == 2, said.stderr
        [line] = said.stderr.splitlines()
        assert re.search(r"nothing answers at 127\.0\.0\.1:\d+", line)
        assert "hidden" not in line


@pytest.mark.processes
def test_what_serve_has_started_waits_for_a_database_that_is_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"postgresql://broker_app:hidden@127.0.0.1:{free.getsockname()[1]}/broker"
    with subprocess.Popen(
        [sys.executable, "-m", "broker", "worker", "--child"],
        cwd=ROOT,
        env=environment(BROKER_HOME=str(tmp_path), BROKER_DATABASE_URL=url),
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stderr is not None
        for _ in range(2):
            assert "database_waited_for" in worker.stderr.readline()
        assert worker.poll() is None
        worker.terminate()


@pytest.mark.skipif(OUTSIDE is not None, reason="an outside server may let us in without a password")
def test_a_wrong_password_names_the_role_and_never_the_password(postgres: Database) -> None:
    said = refused(at(postgres.app_url, password="not-this-one"))
    assert "password of the role broker_app in BROKER_DATABASE_URL" in said
    assert "not-this-one" not in said
    with pytest.raises(ConfigurationError, match="role broker_owner in BROKER_OWNER_DATABASE_URL"):
        migrate(Endpoint(owner_url=at(postgres.owner_url, password="not-this-one"), app_url=postgres.app_url))


def test_a_database_that_there_is_not(postgres: Database) -> None:
    assert "there is no database nowhere_at_all" in refused(at(postgres.app_url, database="nowhere_at_all"))


def test_a_host_without_an_address() -> None:
    assert "has no address: db.invalid:5432" in refused("postgresql://broker_app:hidden@db.invalid/broker")


def test_a_server_without_tls_and_one_that_cannot_be_verified(tmp_path: Path) -> None:
    with answering(b"N") as url:
        assert "has no TLS" in refused(f"{url}?sslmode=verify-full&sslrootcert=system")
    with answering(b"S") as url:
        assert "sslrootcert=" in refused(f"{url}?sslmode=verify-full&sslrootcert={tmp_path / 'none.crt'}")
