"""A partner by raw asyncio: a test says what happens on each connection, down to the bytes.

No framework would send most of what partners send when they are broken.
"""

import asyncio
import contextlib
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def transaction(self) -> str:
        return self.query.get("transactionId", "")

    @property
    def search(self) -> bool:
        """Whether it asks for a search, and not what became of one."""
        return self.path.startswith("/v1/identify/")


Act = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawPartner:
    """What it was asked, and who is connected."""

    act: Act
    url: str = ""
    connections: int = 0
    calls: list[Asked] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    hung_up: int = 0
    """Connections that the broker closed before they were answered in full."""

    @property
    def searches(self) -> list[Asked]:
        return [call for call in self.calls if call.search]

    @property
    def bodies(self) -> dict[str, set[bytes]]:
        """The bodies that came under each transaction id."""
        found: dict[str, set[bytes]] = {}
        for call in self.searches:
            found.setdefault(call.transaction, set()).add(call.body)
        return found

    @property
    def repeated(self) -> int:
        """Calls that asked for a search that had been asked for already."""
        return sum(number - 1 for number in Counter(call.transaction for call in self.searches).values())


def reply(
    body: Any = (), status: int = 200, *, kind: str = "application/json", headers: dict[str, str] | None = None
) -> bytes:
    """A whole reply, its length announced."""
    content = body if isinstance(body, bytes) else json.dumps(list(body) if body == () else body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Connection: close"]
    given = headers or {}
    if "Content-Length" not in given:
        lines.append(f"Content-Length: {len(content)}")
    lines += [f"{name}: {value}" for name, value in given.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def saying(raw: bytes, after: float = 0.0) -> Act:
    """Sends these bytes to everybody."""

    async def act(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(after)
        writer.write(raw)
        await writer.drain()

    return act


def candidate(number: int = 1, **handling: Any) -> dict[str, Any]:
    """One candidate as OSIA writes it."""
    return {
        "personId": f"X-{number:04}",
        "rank": number,
        "score": 1.0 / number,
        "others": {"handling": handling} if handling else {},
    }


SOUND = saying(reply([candidate()]))
BROKEN = saying(reply({"code": 503, "message": "x"}, 503))


@asynccontextmanager
async def raw_partner(act: Act = SOUND, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawPartner]:
    """Serve on loopback until the end of the block."""
    partner = RawPartner(act)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        partner.connections += 1
        partner.open.add(writer)
        asked = await _read(reader)
        if asked is not None:
            partner.calls.append(asked)
            acting = asyncio.ensure_future(partner.act(asked, writer))
            gone = asyncio.ensure_future(reader.read())
            done, _ = await asyncio.wait({acting, gone}, return_when=asyncio.FIRST_COMPLETED)
            partner.hung_up += acting not in done
            for task in (acting, gone):
                task.cancel()
            await asyncio.gather(acting, gone, return_exceptions=True)
        partner.open.discard(writer)
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    partner.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    try:
        yield partner
    finally:
        server.close()
        for writer in list(partner.open):
            writer.transport.abort()
        await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Asked(method, parts.path, query, headers, body)
