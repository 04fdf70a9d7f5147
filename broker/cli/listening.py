"""Listening sockets that are made once and handed to the processes that answer on them."""

import errno
import socket
import sys
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


def answer(application: Any, sock: socket.socket) -> None:
    """Answer on *sock* until SIGTERM or Ctrl-C; then what is under way is finished first.

    Raises the BrokerError that kept the application from starting.
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
        uvicorn.Server(config).run(sockets=[sock])
    except SystemExit:
        if start.refusal is not None:
            raise start.refusal from None
        raise


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
