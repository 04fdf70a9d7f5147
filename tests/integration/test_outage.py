"""What is an outage of the database, told from what its driver really raises, and what is not."""

import asyncio
import socket
from collections.abc import Callable

import procrastinate
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from broker.storage.database import engine_for
from broker.storage.outage import is_outage
from broker.storage.unit_of_work import UnitOfWork
from tests.support.postgres import Database

ENDS_ITSELF = "SELECT pg_terminate_backend(pg_backend_pid())"


def elsewhere(url: str) -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return make_url(url).set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)


async def in_core(url: str, statement: str) -> None:
    engine = engine_for(url, pool_size=1)
    try:
        async with UnitOfWork(engine).begin() as tx:
            await tx.execute(text(statement))
    finally:
        await engine.dispose()


async def in_the_driver(url: str, statement: str) -> None:
    engine = engine_for(url, pool_size=1)
    try:
        async with UnitOfWork(engine).begin() as tx:
            await tx.write(statement, ())  # type: ignore[arg-type]
    finally:
        await engine.dispose()


async def in_the_queue(url: str, statement: str) -> None:
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=1, timeout=2)
    async with procrastinate.App(connector=connector).open_async():
        await connector.execute_query_async(statement)


WAYS = (in_core, in_the_driver, in_the_queue)


def failure(way: Callable[..., object], url: str, statement: str) -> Exception:
    with pytest.raises(Exception) as caught:
        asyncio.run(way(url, statement))  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_ends_or_is_not_there_is_an_outage(postgres: Database, way: Callable[..., object]) -> None:
    assert is_outage(failure(way, postgres.app_url, ENDS_ITSELF))


@pytest.mark.parametrize("way", [in_core, in_the_driver])
def test_a_server_that_is_not_there_is_one(postgres: Database, way: Callable[..., object]) -> None:
    assert is_outage(failure(way, elsewhere(postgres.app_url), "SELECT 1"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "statement", ["SELECT 1 / 0", "SELECT * FROM nowhere", "SET statement_timeout = 1; SELECT pg_sleep(1)"]
)
def test_what_the_database_says_of_a_statement_is_none(
    postgres: Database, way: Callable[..., object], statement: str
) -> None:
    assert not is_outage(failure(way, postgres.app_url, statement))
