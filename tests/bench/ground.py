"""What is measured, brought up: a durable embedded PostgreSQL, databases in it, and the service as real processes."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from broker.api.dev_issuer import issue
from broker.kernel.clock import SystemClock
from broker.kernel.words import Role
from broker.migrations.run import upgrade
from broker.settings import Settings
from broker.storage.embedded import EmbeddedPostgres, remove_home

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "policies"
PARTNERS = ("cbp-atsp", "dos-ccd")
_START_SECONDS = 120
_END_SECONDS = 40


@dataclass(frozen=True)
class Database:
    """One migrated database."""

    owner_url: str
    app_url: str


class Ground:
    """A home of its own with a durable server: fsync and synchronous commit are on, as in the service."""

    def __init__(self, home: Path, server: EmbeddedPostgres) -> None:
        self.home = home
        self._endpoint = server.start()
        self._bootstrap = server.bootstrap_url()

    def database(self, name: str) -> Database:
        """A fresh database with the newest shape."""
        with psycopg.connect(self._bootstrap, autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER broker_owner").format(sql.Identifier(name))
            connection.execute(statement)
        made = Database(_at(self._endpoint.owner_url, name), _at(self._endpoint.app_url, name))
        upgrade(made.owner_url)
        return made

    def server_facts(self) -> dict[str, str]:
        """What the server says of itself, so that a reader sees which durability was measured."""
        names = (
            "server_version",
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "shared_buffers",
            "wal_sync_method",
        )
        with psycopg.connect(self._endpoint.app_url) as connection:
            return {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in names}

    def token(self, sub: str, agency: str, *roles: Role) -> str:
        """A development token of this home."""
        return issue(
            self.home,
            sub=sub,
            agency=agency,
            roles=roles,
            training_valid_until=SystemClock().now().date() + timedelta(days=365),
            partners=PARTNERS,
            audience=Settings.model_fields["audience"].default,
            lifetime=timedelta(hours=4),
        )

    @contextmanager
    def broker(self, database: Database, *, with_worker: bool) -> Iterator[str]:
        """The API in one process, its URL; with *with_worker* also the jobs and the invented partners."""
        environment = _plain_environment() | {
            "BROKER_HOME": str(self.home),
            "BROKER_PORT": "0",
            "BROKER_DATABASE_URL": database.app_url,
            "BROKER_OWNER_DATABASE_URL": database.owner_url,
        }
        arguments = ["up", "--end-with-parent"] if with_worker else ["serve", "--without-worker"]
        ready = r"broker is ready at (\S+)" if with_worker else r"broker listens on (\S+)"
        with self._process(["broker", *arguments], environment, ready) as url:
            _await_ready(url)
            yield url

    @contextmanager
    def floors(self, database: Database) -> Iterator[str]:
        """The floors' process; its URL."""
        environment = _plain_environment() | {"BENCH_FLOOR_DATABASE_URL": database.owner_url}
        with self._process(["tests.bench.floors"], environment, r"floors listen on (\S+)") as url:
            yield url

    @contextmanager
    def _process(self, module: list[str], environment: dict[str, str], ready: str) -> Iterator[str]:
        descriptor, name = tempfile.mkstemp(dir=self.home, suffix=".log")
        log = Path(name)
        with os.fdopen(descriptor, "w") as output:
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", *module],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _announced(log, ready, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(_END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@contextmanager
def prepared() -> Iterator[Ground]:
    """The ground, and nothing of it left at the end."""
    base = Path(tempfile.mkdtemp(prefix="broker bench "))
    # Root's database runs as another user, who has to pass through.
    base.chmod(0o711)
    home = base / "home"
    server = EmbeddedPostgres(home, durable=True)
    try:
        yield Ground(home, server)
    finally:
        server.stop()
        remove_home(home)
        shutil.rmtree(base, ignore_errors=True)


def today() -> date:
    return SystemClock().now().date()


def _announced(log: Path, ready: str, process: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = re.search(ready, log.read_text())
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"a process did not start; it said:\n{log.read_text()[-4000:]}")


def _await_ready(url: str) -> None:
    parts = urlsplit(url)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise RuntimeError("the service was not ready in time")


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}


def _at(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(name, safe="")))
