"""One exchange: its own connection, and its own time.

The client's pool loses a place for good when a call is cancelled in the wrong moment, and calls are cancelled here all the time:
deadlines are what a dispatch is about. So no connection is shared. Each exchange opens its own and closes it, and runs beside
whoever waits for it, so that it is cancelled once at the most, and its cleaning up never.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final, TypeVar

import httpx

from broker.kernel.wire import WireFailure, WireFault

_Came = TypeVar("_Came")
_ONE: Final = httpx.Limits(max_connections=1, max_keepalive_connections=0)
_UNDER_WAY: Final[set["asyncio.Task[Any]"]] = set()
"""Exchanges, also those that nobody waits for any more, until each has closed its connection."""


class OneEach(httpx.AsyncBaseTransport):
    """Opens a connection for each request, and closes it with its response."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; closing the response closes the connection."""
        connection = httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False, limits=_ONE)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await connection.aclose()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        stream = _Last(response.stream, connection)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )


class _Last(httpx.AsyncByteStream):
    """A body, with whose end the connection ends."""

    def __init__(self, body: httpx.AsyncByteStream, connection: httpx.AsyncHTTPTransport) -> None:
        self._body = body
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            await self._connection.aclose()


async def within(seconds: float, exchange: Coroutine[Any, Any, _Came]) -> _Came:
    """What an exchange gives, if it comes in time; `WireFailure` otherwise. Cleaning up is not waited for."""
    task = asyncio.create_task(exchange)
    _UNDER_WAY.add(task)
    task.add_done_callback(_done_with)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise WireFailure(WireFault.TIMED_OUT)
        return task.result()
    finally:
        task.cancel()


def _done_with(task: "asyncio.Task[Any]") -> None:
    _UNDER_WAY.discard(task)
    if not task.cancelled():
        task.exception()  # Somebody has heard it, or has stopped waiting for it.
