"""No request is read further than it may be long. Pure ASGI: it costs a comparison per chunk."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.kernel.errors import Unavailable

ORDINARY_BODY: Final = 1_000_000
_PROBE_ROUTE: Final = "/v1/searches"
_CALLBACKS: Final = "/v1/callbacks/"


class BodyLimit:
    """Ends the reading of a body that is longer than its route allows with a 413."""

    def __init__(self, app: ASGIApp, *, with_probe: int, callback: int) -> None:
        self._app = app
        self._with_probe = with_probe
        self._callback = callback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._longest(scope["path"])
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413)
            return message

        await self._app(scope, bounded, send)

    def _longest(self, path: str) -> int:
        if path == _PROBE_ROUTE:
            return self._with_probe
        return self._callback if path.startswith(_CALLBACKS) else ORDINARY_BODY


class LongBodies:
    """Reads bodies of callers who are known only by what they have sent: a signature is over the whole of it.

    Nobody has to show anything to send much, so of what is longer than an ordinary body only so much is held at a time,
    and not for long. Who finds no room comes again, as a partner does, or is polled.
    """

    def __init__(self, *, at_once: int, seconds: float) -> None:
        self._room = at_once
        self._seconds = seconds

    @asynccontextmanager
    async def read(self, request: Request, longest: int) -> AsyncIterator[bytes]:
        """The body, of *longest* bytes at most, which counts as held until the block ends.

        Raises HTTPException for a longer one, and Unavailable where there is no room or it takes too long to come.
        """
        body = bytearray()
        with ExitStack() as held:
            try:
                async with asyncio.timeout(None) as limit:
                    async for chunk in request.stream():
                        body += chunk
                        if len(body) > longest:
                            raise HTTPException(413)
                        if len(body) > ORDINARY_BODY and limit.when() is None:
                            held.enter_context(self._place())
                            limit.reschedule(asyncio.get_running_loop().time() + self._seconds)
            except TimeoutError:
                raise Unavailable("the body did not come in time") from None
            yield bytes(body)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._room:
            raise Unavailable("too many long bodies are being read; send it again in a while")
        self._room -= 1
        try:
            yield
        finally:
            self._room += 1
