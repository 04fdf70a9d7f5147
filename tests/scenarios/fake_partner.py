"""A partner that does what a test tells it: answer late, wrongly, with too much, or not at all.

It speaks just enough of OSIA identify to be asked by the shipped adapters, and remembers every call.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str]

    @property
    def transaction(self) -> str:
        return self.query.get("transactionId", "")


@dataclass(frozen=True)
class Reply:
    """What is sent back, after so many seconds."""

    status: int = 200
    body: Any = ()
    after: float = 0.0
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    @property
    def raw(self) -> bytes:
        return (
            self.body
            if isinstance(self.body, bytes)
            else json.dumps(list(self.body) if self.body == () else self.body).encode()
        )


def candidate(number: int = 1, **handling: Any) -> dict[str, Any]:
    """One candidate as OSIA writes it."""
    others = {"handling": handling} if handling else {}
    return {"personId": f"X-{number:04}", "rank": number, "score": 1.0 / number, "others": others}


Behaviour = Callable[[Call], Reply]


class FakePartner:
    """Its `behave` can be changed at any time."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.behave: Behaviour = lambda _: Reply(body=[candidate()])
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def transactions(self) -> list[str]:
        """Transaction ids of the searches asked for, in the order of their first call."""
        return list(dict.fromkeys(call.transaction for call in self.calls if call.path.startswith("/v1/identify/")))

    @contextmanager
    def answering(self) -> Iterator["FakePartner"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        partner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _take(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                call = Call(self.command, parts.path, query, body, dict(self.headers))
                partner.calls.append(call)
                reply = partner.behave(call)
                time.sleep(reply.after)
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    if "Content-Length" not in reply.headers:
                        self.send_header("Content-Length", str(len(reply.raw)))
                    self.end_headers()
                    self.wfile.write(reply.raw)
                except OSError:
                    self.close_connection = True  # The broker has hung up, which is what some tests are about.

            do_GET = do_POST = _take  # noqa: N815 - the standard library looks for these names

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler
