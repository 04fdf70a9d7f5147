"""Partners that misbehave on the wire, served for real on loopback, so that tests need no mocks.

Each entry of `HOSTILE` is a way in which a reply can do harm, with the outcome that an order must have when it meets
it. The servers speak raw bytes: no framework would send most of these.
"""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from broker.partners.contract import Failed, FailureKind, Outcome, TimedOut

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Served:
    """A raw server on loopback."""

    url: str
    connections: int = 0
    requests: list[bytes] | None = None


@asynccontextmanager
async def served(reply: Reply) -> AsyncIterator[Served]:
    """Answer every request with *reply*, whatever it says; one request to a connection."""
    state = Served(url="", requests=[])
    open_writers: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        open_writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            request = await _request(reader)
            if state.requests is not None:
                state.requests.append(request)
            await reply(writer)
        open_writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    state.url = f"http://{host}:{port}"
    try:
        yield state
    finally:
        server.close()
        for writer in open_writers:
            writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return head + (await reader.readexactly(length) if length else b"")


def reply_with(
    body: bytes, *, status: str = "200 OK", content_type: str = "application/json", extra: str = "", framed: bool = True
) -> Reply:
    """A whole reply at once; not *framed*: it ends with the connection, with no length announced."""
    length = f"Content-Length: {len(body)}\r\n" if framed else ""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{length}{extra}Connection: close\r\n\r\n"

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)
        await writer.drain()

    return reply


def redirect_to(url: str) -> Reply:
    """A redirection that keeps method and body."""
    return reply_with(b"", status="307 Temporary Redirect", extra=f"Location: {url}/elsewhere\r\n")


async def _drip(writer: asyncio.StreamWriter) -> None:
    # One byte now and then, for ever: a timeout that begins anew with every byte never fires.
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _drip_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _silence(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def _hang_up(_writer: asyncio.StreamWriter) -> None:
    return


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b" " * 0x1000 + b"\r\n")
        await writer.drain()


async def _cut_chunks(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n")
    await writer.drain()


async def _cut_short(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n[]")
    await writer.drain()


def _failed(kind: FailureKind) -> Outcome:
    return Failed(kind=kind)


_ONE: Final = b'[{"personId": "R-1", "rank": 1, "score": 0.9, "others": {"handling": {"owner": "%s"}}}]'
_GZIP: Final = "Content-Encoding: gzip\r\n"
_NOT_STRICT: Final = _failed(FailureKind.NOT_STRICT_JSON)

HOSTILE: Final[Mapping[str, tuple[Reply, Outcome]]] = {
    "slow drip": (_drip, TimedOut()),
    "slow drip of headers": (_drip_headers, TimedOut()),
    "silence": (_silence, TimedOut()),
    "hangs up": (_hang_up, _failed(FailureKind.UNREACHABLE)),
    "redirect": (redirect_to("http://127.0.0.1:9"), _failed(FailureKind.REDIRECTED)),
    "announces too much": (reply_with(b"[" + b" " * 2_000_000 + b"]"), _failed(FailureKind.TOO_LARGE)),
    "never ends": (_endless, _failed(FailureKind.TOO_LARGE)),
    "gzip bomb": (reply_with(gzip.compress(b" " * 20_000_000), extra=_GZIP), _failed(FailureKind.ENCODED)),
    "cut short": (_cut_short, _failed(FailureKind.TRUNCATED)),
    "cut between chunks": (_cut_chunks, _failed(FailureKind.TRUNCATED)),
    "cut without a length": (reply_with(_ONE[:-3], framed=False), _NOT_STRICT),
    "a bare number, perhaps cut": (reply_with(b"12", framed=False), _NOT_STRICT),
    "two owners under one key": (
        reply_with(_ONE.replace(b'"owner": "%s"', b'"owner": "A", "owner": "B"')),
        _NOT_STRICT,
    ),
    "NaN": (reply_with(_ONE.replace(b"0.9", b"NaN")), _NOT_STRICT),
    "Infinity": (reply_with(_ONE.replace(b"0.9", b"Infinity")), _NOT_STRICT),
    "a number beyond all floats": (reply_with(_ONE.replace(b"0.9", b"1e999")), _NOT_STRICT),
    "nested 100,000 deep": (reply_with(b"[" * 100_000 + b"]" * 100_000), _NOT_STRICT),
    "not UTF-8": (reply_with(_ONE.replace(b"R-1", b"R-\xff")), _NOT_STRICT),
    "half a surrogate pair": (reply_with(_ONE.replace(b"R-1", b"\\ud800")), _NOT_STRICT),
    "a byte order mark": (reply_with(b"\xef\xbb\xbf" + _ONE), _NOT_STRICT),
    "two texts": (reply_with(b"[] []"), _NOT_STRICT),
    "a page": (reply_with(b"<p>[]</p>", content_type="text/html"), _failed(FailureKind.WRONG_CONTENT_TYPE)),
    "another character set": (
        reply_with(b"[]", content_type="application/json; charset=utf-16"),
        _failed(FailureKind.WRONG_CONTENT_TYPE),
    ),
}
"""What each is, how it answers, and what must come of it."""
