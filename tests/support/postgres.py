"""A real PostgreSQL: the embedded one, or an outside one named in BROKER_TEST_DATABASE_URL (or BROKER_DATABASE_URL).

One server serves the whole run. It holds one migrated template; each xdist worker gets a copy of it, and so does each
test that asks for a fresh one.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
import pytest

from broker.storage.embedded import EmbeddedPostgres, Endpoint
from tests.support import shared

# Kept under a name of the suite's own, because conftest takes all BROKER_* away before xdist starts its workers.
_KEPT = "SUITE_DATABASE_URL"
_NAMES = (_KEPT, "BROKER_TEST_DATABASE_URL", "BROKER_DATABASE_URL")
OUTSIDE = next((os.environ[name] for name in _NAMES if os.environ.get(name)), None)
if OUTSIDE is not None:
    os.environ[_KEPT] = OUTSIDE
_TEMPLATE = "broker_template"


@dataclass(frozen=True)
class Database:
    """One database of the test server, as its owner, as the service, and as the superuser of the server."""

    name: str
    owner_url: str
    app_url: str
    admin_url: str

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(owner_url=self.owner_url, app_url=self.app_url)

    def owner(self) -> psycopg.Connection[Any]:
        """A connection as the owner of the schema; every statement commits by itself."""
        return psycopg.connect(self.owner_url, autocommit=True)

    def service(self) -> psycopg.Connection[Any]:
        """A connection with the service's rights; every statement commits by itself."""
        return psycopg.connect(self.app_url, autocommit=True)


@dataclass(frozen=True)
class Server:
    """A running server and how its databases are reached."""

    admin_url: str
    owner_url: str
    app_url: str
    owner_role: str

    def database(self, name: str) -> Database:
        return Database(name, _at(self.owner_url, name), _at(self.app_url, name), _at(self.admin_url, name))

    def create(self, name: str, template: str) -> Database:
        """Make a database as a copy of *template*, which nobody may be connected to."""
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER "{self.owner_role}"')
        return self.database(name)

    def drop(self, name: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def has(self, name: str) -> bool:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
        return found is not None

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(cast("LiteralString", statement))


@contextmanager
def server() -> Iterator[Server]:
    """The server of this run. It ends when the last process of the run lets go of it."""
    if OUTSIDE is not None:
        with psycopg.connect(OUTSIDE) as connection:
            role = connection.info.user
        yield Server(OUTSIDE, OUTSIDE, _as_service(OUTSIDE), role)
        return
    with ExitStack() as users:
        users.enter_context(shared.locked("users", shared=True))
        embedded = EmbeddedPostgres(shared.folder() / "home", durable=False)
        try:
            endpoint = embedded.start()
            yield Server(embedded.bootstrap_url(), endpoint.owner_url, endpoint.app_url, "broker_owner")
        finally:
            users.close()
            if embedded.owned:
                # Others may still work on it; whoever comes later waits, and then starts it again.
                with shared.locked("users"):
                    embedded.stop()


def template_name() -> str:
    """On an outside server several runs may meet, so the name carries the run's own."""
    return _TEMPLATE if OUTSIDE is None else f"{_TEMPLATE}_{quote(shared.folder().name[-8:], safe='')}"


def make_template(running: Server) -> str:
    """The migrated template, made by whichever process needs it first."""
    # Only a test with a database needs the migrations, and they take a while to import.
    from broker.migrations.run import upgrade

    name = template_name()
    with shared.locked("template"):
        if not running.has(name):
            if OUTSIDE is None:
                # Who is being let in holds up every DROP DATABASE, also if it was given up half-way.
                running._run("ALTER SYSTEM SET authentication_timeout = '5s'")
                running._run("SELECT pg_reload_conf()")
            draft = f"{name}_draft"
            running.drop(draft)
            running.create(draft, "template0")
            upgrade(running.database(draft).owner_url)
            running._run(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
    return name


def drop_template() -> None:
    """At the end of a run on an outside server, nothing of it stays there."""
    if OUTSIDE is not None:
        with server() as running:
            running.drop(template_name())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server itself, for tests that make databases of their own."""
    with server() as running:
        yield running


@contextmanager
def copy_of_template(running: Server) -> Iterator[Database]:
    """A migrated database without rows, dropped at the end."""
    template = make_template(running)
    with shared.locked("template"):
        made = running.create(f"broker_test_{secrets.token_hex(6)}", template)
    try:
        yield made
    finally:
        running.drop(made.name)


@pytest.fixture(scope="session")
def postgres(postgres_server: Server) -> Iterator[Database]:
    """A migrated database for this xdist worker, shared by its tests."""
    with copy_of_template(postgres_server) as made:
        yield made


@pytest.fixture
def fresh_postgres(postgres_server: Server) -> Iterator[Database]:
    """A migrated database without rows, for one test."""
    with copy_of_template(postgres_server) as made:
        yield made


def _at(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(name, safe="")))


def _as_service(url: str) -> str:
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query), ("options", "-c role=broker_app")]
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
