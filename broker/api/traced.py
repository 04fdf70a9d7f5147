"""One trace for each call. Pure ASGI."""

from starlette.types import ASGIApp, Receive, Scope, Send

from broker.tracing import Fact, root

_OPEN = frozenset({"/healthz", "/readyz", "/metrics"})


class Traced:
    """Opens the trace of a call. Its name is the route's pattern; what it was answered is not told."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        with root("call", {Fact.METHOD: scope["method"]}) as span:
            try:
                await self._app(scope, receive, send)
            except Exception:
                span.set_attribute(Fact.BROKE.value, "broke")
                raise
            finally:
                pattern = getattr(scope.get("route"), "path", None)
                if pattern is not None and span.is_recording():
                    span.set_attribute(Fact.ROUTE.value, pattern)
