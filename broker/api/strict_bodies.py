"""JSON bodies that everybody reads alike: a key twice, NaN and their like are refused before any schema looks.

The framework's own reader takes the last of two equal keys; a proxy or a log before it may have taken the first.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from broker.kernel.errors import Unauthenticated
from broker.kernel.strict_json import Json, NotStrictJson
from broker.kernel.strict_json import read as read_json


class _StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Json:
        """The body. Raises what becomes a 400, without a part of the body in it."""
        try:
            return read_json(await self.body())
        except NotStrictJson:
            raise HTTPException(400) from None


class StrictRoute(APIRoute):
    """A route that takes strict JSON only. Every router of ``broker.api.routes`` is made of these."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, given the stricter request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            # The framework reads the body before it asks who calls; a caller without a token is told that first.
            if "authorization" not in request.headers:
                raise Unauthenticated("send Authorization: Bearer <token>")
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly
