"""Hearing what other processes say through the database. It makes a look come earlier and replaces none."""

import asyncio
from typing import Final, LiteralString

import psycopg
import structlog
from psycopg import sql

_AGAIN_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class Listener:
    """Listens on one channel, on one connection that is held for nothing else."""

    def __init__(self, conninfo: str, channel: LiteralString, heard: asyncio.Event) -> None:
        """*heard* is set at each word; what the word was is asked of the tables, never believed."""
        self._conninfo = conninfo
        self._channel = channel
        self._heard = heard

    async def run(self) -> None:
        """Listen until cancelled. While the connection is gone nothing is heard, and it is made anew."""
        while True:
            try:
                await self._listen()
            except (OSError, psycopg.Error) as trouble:
                _log.warning("listening_interrupted", channel=self._channel, kind=type(trouble).__name__)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        try:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            # Whatever was said before we listened has to be looked for.
            self._heard.set()
            async for _ in connection.notifies():
                self._heard.set()
        finally:
            await connection.close()
