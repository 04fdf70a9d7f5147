"""One act is one transaction: it commits when the block ends without an exception, and not otherwise.

A refusal is a value, not an exception, so a block that ends in a Deny still commits the Deny's record.
No transaction is held while a partner is being asked.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

import psycopg
from sqlalchemy import CursorResult, Executable, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_CLOCK = text("SELECT clock_timestamp()")


class Transaction:
    """An open transaction. Whoever holds one may read, lock and write; only the unit of work commits."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run one statement; a sequence of parameters runs it once for each."""
        return cast("CursorResult[Any]", await self.connection.execute(statement, parameters))

    async def clock(self) -> datetime:
        """The database's wall clock now. `now()` would be the transaction's start, which is before its locks."""
        return cast("datetime", (await self.execute(_CLOCK)).scalar_one())

    async def driver(self) -> "psycopg.AsyncConnection[Any]":
        """The psycopg connection underneath, for a library that must write in this same transaction."""
        raw = await self.connection.get_raw_connection()
        return cast("psycopg.AsyncConnection[Any]", raw.driver_connection)


class UnitOfWork:
    """Opens transactions on one engine. READ COMMITTED: what must not change under us is locked by name."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """A transaction that commits at the end of the block and rolls back when the block raises."""
        async with self._engine.begin() as connection:
            yield Transaction(connection)
