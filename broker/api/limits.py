"""No request is read further than it may be long. Pure ASGI: it costs a comparison per chunk."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PROBE_ROUTE: Final = "/v1/searches"


class BodyLimit:
    """Ends the reading of a body that is longer than its route allows with a 413."""

    def __init__(self, app: ASGIApp, *, ordinary: int, with_probe: int) -> None:
        self._app = app
        self._ordinary = ordinary
        self._with_probe = with_probe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._with_probe if scope["path"] == _PROBE_ROUTE else self._ordinary
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413)
            return message

        await self._app(scope, bounded, send)
