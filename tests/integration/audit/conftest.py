"""A real PostgreSQL for the audit's tests: one server a session, a fresh database a test.

Not the server that other tests share: a transaction that any of them leaves open would hold the sequencer back here,
and a test could no longer say how many entries one call puts in order.
"""

from collections.abc import Iterator

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.audit.checkpoint import Signer
from broker.migrations.run import upgrade
from broker.storage.embedded import EmbeddedPostgres, remove_home
from tests.integration.audit.audit_log import Database, Server


@pytest.fixture(scope="session")
def empty_audit(tmp_path_factory) -> Iterator[Database]:
    """The template: the whole shape, no rows."""
    home = tmp_path_factory.mktemp("audit") / "home"
    embedded = EmbeddedPostgres(home, durable=False)
    try:
        endpoint = embedded.start()
        server = Server(embedded.bootstrap_url(), endpoint.owner_url, endpoint.app_url)
        with psycopg.connect(server.admin_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE audit_template OWNER broker_owner")
            # A round of autovacuum is a writing transaction, and would hold the sequencer back for a moment.
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        database = Database(server, "audit_template")
        upgrade(database.owner_url)
        yield database
    finally:
        embedded.stop()
        remove_home(home)


@pytest.fixture
def database(empty_audit) -> Iterator[Database]:
    """A fresh, empty audit."""
    fresh = empty_audit.copy()
    yield fresh
    with psycopg.connect(fresh.server.admin_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {fresh.name} WITH (FORCE)".encode())


@pytest.fixture
def signer() -> Signer:
    """A key of this test's own."""
    return Signer(Ed25519PrivateKey.generate())
