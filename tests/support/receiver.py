"""An agency's own system that takes messages: a raw HTTP server on loopback that can be down, slow or broken."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from broker.partners.callbacks import SIGNATURE_HEADER, Verified, verify

NEVER: Final = 3600.0


@dataclass
class Receiver:
    """What it saw, and how it behaves now."""

    port: int = 0
    status: int = 204
    delay: float = 0.0
    secret: bytes | None = None
    """Where it is set, an unsigned message is answered 401."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """Every message whose request arrived whole."""
    accepted: list[str] = field(default_factory=list)
    """Ids of messages answered 2xx, in order, twice where they came twice."""
    forged: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/inbox"

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """Listening, on the same port each time."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await asyncio.sleep(0)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
            line, *rest = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest if one)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.lines.append(line)
            self.seen.append(json.loads(body))
            status, delay = self._judged(line, headers, body), self.delay
            await asyncio.sleep(delay)
            if status < 300:
                self.accepted.append(json.loads(body)["id"])
            location = "Location: http://127.0.0.1:9/\r\n" if 300 <= status < 400 else ""
            writer.write(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _judged(self, line: str, headers: dict[str, str], body: bytes) -> int:
        if self.secret is None:
            return self.status
        method, target, _ = line.split(" ")
        signed = headers.get(SIGNATURE_HEADER.lower())
        proof = verify(self.secret, signed, method=method, target=target, body=body, now=datetime.now(UTC))
        if not isinstance(proof, Verified):
            self.forged += 1
            return 401
        return self.status
