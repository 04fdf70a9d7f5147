"""Listening sockets that are made once and handed to the processes that answer on them."""

import errno
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from broker.kernel.errors import BrokerError, ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, ready before anybody answers on it: who calls early waits instead of being refused.

    Port 0 takes any free one. Raises ConfigurationError if the address is taken or not ours.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
    except OSError:
        raise ConfigurationError(f"{host} is not an address of this machine") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(2048)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} on {host} is in use; set BROKER_PORT (0 takes any free one)"
            ) from None
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return sock


def inherited(descriptor: int) -> socket.socket:
    """The listening socket that our parent made."""
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        raise ConfigurationError("--fd is for a parent process that hands a listening socket down") from None


def url_of(sock: socket.socket) -> str:
    """The URL under which the socket is reached from this machine."""
    host, port = sock.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answer(
    application: Any, sock: socket.socket, ending: Callable[[], None] = lambda: None, drain_seconds: float = 0.0
) -> None:
    """Answer on *sock* until SIGTERM or Ctrl-C; then what is under way is finished first.

    *ending* is called as soon as that comes; for *drain_seconds* more, calls are still taken, so that whoever spreads
    them over several hosts can see that this one is not ready any more. Raises the BrokerError that kept the application from starting.
    """
    import uvicorn

    start = _Start(application)
    config = uvicorn.Config(
        start,
        log_config=None,
        access_log=False,  # A path holds ids of items; who read what is the audit's to say.
        server_header=False,
        proxy_headers=False,  # Nothing here asks for the caller's address, so nobody needs to be believed.
        lifespan="on",
        timeout_graceful_shutdown=10,
        timeout_keep_alive=30,
    )
    try:
        _server(config, ending, drain_seconds).run(sockets=[sock])
    except SystemExit:
        if start.refusal is not None:
            raise start.refusal from None
        raise


def _server(config: Any, ending: Callable[[], None], drain_seconds: float) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        asked: tuple[int, float] | None = None

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # Called in the middle of anything: what is to be done is done at the next tick of the loop.
            if self.asked is None:
                self.asked = sig, time.monotonic() + drain_seconds
            else:
                super().handle_exit(sig, frame)

        async def on_tick(self, counter: int) -> bool:
            if self.asked is not None and not self.should_exit:
                ending()
                which, until = self.asked
                if time.monotonic() >= until:
                    super().handle_exit(which, None)
            return await super().on_tick(counter)

    return Server(config)


class _Start:
    """Keeps the reason why the application refuses to start, which would otherwise only be logged as a traceback."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.refusal: BrokerError | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return

        async def say(message: Any) -> None:
            failure = sys.exc_info()[1]
            if message["type"] == "lifespan.startup.failed" and isinstance(failure, BrokerError):
                self.refusal = failure
                message = {"type": message["type"], "message": ""}
            await send(message)

        await self._application(scope, receive, say)
