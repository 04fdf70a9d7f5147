"""One act is one transaction: it commits when the block ends without an exception, and not otherwise.

A refusal is a value, not an exception, so a block that ends in a Deny still commits the Deny's record.
No transaction is held while a partner is being asked.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import CursorResult, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Parameters = Mapping[str, Any] | Sequence[Any]

_CLOCK: Final = "SELECT clock_timestamp()"


class Transaction:
    """An open transaction. Whoever holds one may read, lock and write; only the unit of work commits."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self._driver: psycopg.AsyncConnection[Any] | None = None

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run one statement; a sequence of parameters runs it once for each."""
        return cast("CursorResult[Any]", await self.connection.execute(statement, parameters))

    async def rows(self, statement: LiteralString, parameters: Parameters = ()) -> list[Any]:
        """The rows of one statement, as named tuples, asked of the driver itself.

        For what every decision asks: in Core such a statement costs several times what the database needs for it
        (docs/decisions/0041). Places are the driver's, `%(name)s` or `%s`. Failures are those of `execute`.
        """
        cursor = await self._sent(statement, parameters)
        return await cursor.fetchall()

    async def write(self, statement: LiteralString, parameters: Parameters) -> None:
        """One statement that gives no rows, in the same way."""
        await self._sent(statement, parameters)

    async def clock(self) -> datetime:
        """The database's wall clock now. `now()` would be the transaction's start, which is before its locks."""
        return cast("datetime", (await self.rows(_CLOCK))[0][0])

    async def driver(self) -> "psycopg.AsyncConnection[Any]":
        """The psycopg connection underneath, for a library that must write in this same transaction."""
        if self._driver is None:
            raw = await self.connection.get_raw_connection()
            self._driver = cast("psycopg.AsyncConnection[Any]", raw.driver_connection)
        return self._driver

    async def _sent(self, statement: LiteralString, parameters: Parameters) -> "psycopg.AsyncCursor[Any]":
        cursor = (await self.driver()).cursor(row_factory=namedtuple_row)
        try:
            return await cursor.execute(statement, parameters)
        except psycopg.Error as fault:
            # Told as Core tells it, so that whoever handles a failed statement need not know which way it went.
            told = DBAPIError.instance(statement, None, fault, psycopg.Error, hide_parameters=True)
            raise told from fault


class UnitOfWork:
    """Opens transactions on one engine. READ COMMITTED: what must not change under us is locked by name."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """A transaction that commits at the end of the block and rolls back when the block raises."""
        async with self._engine.begin() as connection:
            yield Transaction(connection)
