"""An audit log in a real database, for tests to fill, to tamper with and to verify."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import IsolationLevel

from broker.audit.events import Actor, AuditEvent
from broker.audit.recorder import record
from broker.audit.sequencer import sequence_once
from broker.audit.verify import verify
from broker.storage.database import engine_for
from broker.storage.unit_of_work import UnitOfWork

_NUMBERS = count()


@dataclass(frozen=True)
class Server:
    """Three ways into one server."""

    admin_url: str
    owner_url: str
    app_url: str


@dataclass(frozen=True)
class Database:
    """One database in the shape that the migrations give it."""

    server: Server
    name: str

    @property
    def admin_url(self) -> str:
        return _at(self.server.admin_url, self.name)

    @property
    def owner_url(self) -> str:
        return _at(self.server.owner_url, self.name)

    @property
    def app_url(self) -> str:
        return _at(self.server.app_url, self.name)

    def copy(self) -> "Database":
        """Another database with the same content. Nobody may be connected to this one."""
        other = Database(self.server, f"audit_{next(_NUMBERS)}")
        with psycopg.connect(self.server.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {other.name} TEMPLATE {self.name} OWNER broker_owner".encode())
        return other

    def sql(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Run one statement as the superuser and commit."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def work(self, pool_size=4):
        """A unit of work as the service has it."""
        engine = engine_for(self.app_url, pool_size=pool_size)
        try:
            yield UnitOfWork(engine)
        finally:
            await engine.dispose()

    def fill(self, signer, *batches):
        """Record as many acts as each batch says, each act in a transaction of its own, and sequence after each batch."""

        async def go():
            number = 0
            async with self.work() as work:
                for batch in batches:
                    for _ in range(batch):
                        async with work.begin() as tx:
                            await record(tx, act(number))
                        number += 1
                    assert await sequence_once(work, signer) == batch

        asyncio.run(go())

    def report(self, signer, held=None):
        """What the verifier says."""

        async def go():
            async with await snapshot(self.admin_url) as connection:
                return await verify(connection, signer.public_keys, held)

        return asyncio.run(go())


class Act(AuditEvent):
    """An act for tests, with a value of each kind that a detail may hold."""

    tag = "test:act:done"
    case_id: str
    item_id: str | None
    number: int
    urgent: bool
    reason: str | None
    owners: tuple[str, ...]


def act(number: int) -> Act:
    """One of many acts, all different."""
    return Act(
        actor=Actor(sub=f"officer-{number % 3}", agency=("ICE-HSI", "CBP", "DOS")[number % 3], roles=("analyst",)),
        case_id=f"cas_{number % 5}",
        item_id=f"itm_{number}" if number % 2 else None,
        number=number,
        urgent=number % 7 == 0,
        reason='Grund: naïve „Prüfung“ \\ "quoted"\n' if number % 4 == 0 else None,
        owners=("CBP", "DOS")[: number % 3],
    )


async def snapshot(url):
    """A connection as a verification needs it."""
    connection = await psycopg.AsyncConnection.connect(url)
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    return connection


def _at(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
