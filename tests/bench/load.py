"""The load generator, a process of its own: keep-alive HTTP/1.1 to loopback, a bounded time and a bounded count.

It speaks over plain sockets, because a full HTTP client needs about as long for a call as the service does and would
be measured instead. It reads one JSON document from standard input and writes one to standard output.
"""

import asyncio
import base64
import itertools
import json
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parents[2]
_GRACE_SECONDS = 30
_KEY_PLACE = b"@@fresh-key@@"


@dataclass(frozen=True)
class Call:
    """One request. With `fresh_key` each sending of it carries an Idempotency-Key of its own."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    fresh_key: bool = False


@dataclass(frozen=True)
class Answered:
    """What came back: milliseconds of each call, statuses counted, and how long it all took."""

    milliseconds: list[float]
    statuses: dict[str, int]
    seconds: float

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds


def drive(url: str, calls: Sequence[Call], *, concurrency: int, seconds: float, limit: int = 100_000) -> Answered:
    """Send *calls* in turn over *concurrency* connections until the time or the count is up; ended by its pid."""
    order = {
        "url": url,
        "concurrency": concurrency,
        "seconds": seconds,
        "limit": limit,
        "calls": [{**asdict(call), "body": base64.b64encode(call.body).decode()} for call in calls],
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
    )
    try:
        out, _ = process.communicate(json.dumps(order).encode(), timeout=seconds + _GRACE_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    return Answered(**json.loads(out))


class _Run:
    def __init__(self, order: dict[str, Any]) -> None:
        parts = urlsplit(order["url"])
        if parts.hostname != "127.0.0.1":
            raise ValueError("the load generator calls loopback only")
        self.address = (parts.hostname, parts.port)
        self.messages: Iterator[bytes] = itertools.cycle([_message(call, parts.netloc) for call in order["calls"]])
        self.left = order["limit"]
        self.ends = time.perf_counter() + order["seconds"]
        self.milliseconds: list[float] = []
        self.statuses: Counter[str] = Counter()

    async def connection(self) -> None:
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            while self.left > 0 and time.perf_counter() < self.ends:
                self.left -= 1
                message = next(self.messages)
                if _KEY_PLACE in message:
                    message = message.replace(_KEY_PLACE, uuid.uuid4().hex.encode())
                began = time.perf_counter()
                writer.write(message)
                status = await _reply(reader)
                self.milliseconds.append((time.perf_counter() - began) * 1000)
                self.statuses[status] += 1
        finally:
            writer.close()


def _message(call: dict[str, Any], host: str) -> bytes:
    body = base64.b64decode(call["body"])
    headers = {"Host": host, **call["headers"], "Content-Length": str(len(body))}
    if call["fresh_key"]:
        headers["Idempotency-Key"] = _KEY_PLACE.decode()
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{call['method']} {call['path']} HTTP/1.1\r\n{head}\r\n".encode() + body


async def _reply(reader: asyncio.StreamReader) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), None)
    if length is None:
        raise ValueError("a reply without Content-Length")
    await reader.readexactly(length)
    return status.split()[1]


async def _main() -> None:
    order = json.load(sys.stdin)
    run = _Run(order)
    began = time.perf_counter()
    await asyncio.gather(*(run.connection() for _ in range(order["concurrency"])))
    seconds = time.perf_counter() - began
    json.dump({"milliseconds": run.milliseconds, "statuses": dict(run.statuses), "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(_main())
