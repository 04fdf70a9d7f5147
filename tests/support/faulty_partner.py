"""Partners that are broken or wicked, each in one way that has a name, and the states in which a leg may then end."""

import asyncio
import base64
import gzip
import json
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

import httpx
import trustme

from broker.app import bare_app
from broker.kernel.words import LegState
from broker.partners.callbacks import SIGNATURE_HEADER, sign
from tests.support.desk import Desk
from tests.support.raw_partner import BROKEN, SOUND, Act, Asked, RawPartner, candidate, raw_partner, reply, saying

ERROR, LATE, ANSWERED = LegState.PARTNER_ERROR, LegState.TIMED_OUT, LegState.ANSWERED
PASSING: Final = (ERROR, LATE)
"""Of what may pass the calls are repeated, and the deadline may come first."""
TASK: Final = "task-1"
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED: Final = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_ONE: Final = json.dumps([candidate(1, owner="CBP")]).encode()
_WEEKS: Final = "9999999999"


class Stage:
    """Where partners send their callbacks: the API's own route, over the desk of the test."""

    def __init__(self) -> None:
        self.desk: Desk | None = None
        self._app = bare_app()

    async def deliver(
        self, partner: str, transaction: str, *, task: str = TASK, body: Any = None, forged: bool = False
    ) -> int:
        """Send an answer as the partner would, or without its secret; the status that it gets."""
        assert self.desk is not None
        self._app.state.services = SimpleNamespace(
            registry=self.desk.registry, callbacks=self.desk.callbacks(), clock=self.desk.clock
        )
        content = json.dumps([candidate()] if body is None else body).encode()
        target = f"/v1/callbacks/{partner}?transactionId={transaction}&taskId={task}"
        known = self.desk.registry.find(partner)
        assert known is not None
        secret = b"guessed" if forged else known.secret()
        signature = sign(secret, method="POST", target=target, body=content, at=datetime.now(UTC))
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://broker") as client:
            return (await client.post(target, content=content, headers=headers)).status_code


@dataclass(frozen=True)
class Fault:
    """What the partner does, and the states in which its leg may end."""

    act: Act | None
    ends: tuple[LegState, ...]
    tls: str | None = None
    adapter: str = "cbp"
    statuses: list[int] = field(default_factory=list)
    """What its callbacks were answered with."""


async def _silence(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


def _dripping(head: bytes, drop: bytes) -> Act:
    async def act(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.05)

    return act


def _resetting(first: bytes) -> Act:
    async def act(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        # Linger for no time: the kernel sends a reset and not an end.
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return act


def _pouring(head: bytes, chunk: bytes, times: int) -> Act:
    async def act(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(times):
            writer.write(chunk)
            await writer.drain()

    return act


def _redirecting(where: str) -> Act:
    return saying(reply(b"", 307, headers={"Location": where}))


def _busy(retry_after: str, **headers: str) -> Act:
    return saying(reply({"code": 429, "message": "x"}, 429, headers={"Retry-After": retry_after, **headers}))


def _bomb() -> bytes:
    """A picture that claims to be 50,000 pixels square, and is a few kilobytes long."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
        + chunk(b"IEND", b"")
    )


def _picture() -> bytes:
    picture = base64.b64encode(_bomb()).decode()
    return reply([{**candidate(), "others": {"image": picture, "face": {"data": picture}}}])


@cache
def _certificates() -> Mapping[str, tuple[trustme.CA, trustme.LeafCert]]:
    ours, other = trustme.CA(), trustme.CA()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return {
        "sound": (ours, ours.issue_cert("localhost")),
        "expired": (ours, ours.issue_cert("localhost", not_after=yesterday)),
        "wrong host": (ours, ours.issue_cert("elsewhere.example")),
        "unknown authority": (ours, other.issue_cert("localhost")),
    }


def trust() -> ssl.SSLContext:
    """Believes the authority of the tests, so that a certificate is refused for its own fault and no other."""
    context = ssl.create_default_context()
    _certificates()["sound"][0].configure_trust(context)
    return context


def served_with(name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _certificates()[name][1].configure_cert(context)
    return context


FAULTS: Final[Mapping[str, Fault]] = {
    "refuses": Fault(None, PASSING),
    "silence": Fault(_silence, (LATE,)),
    "drip of headers": Fault(_dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), (LATE,)),
    "drip of body": Fault(_dripping(_HEAD + b"Content-Length: 100000\r\n\r\n[", b" "), (LATE,)),
    "drip of interim replies": Fault(_dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (LATE,)),
    "reset": Fault(_resetting(b""), PASSING),
    "reset in the body": Fault(_resetting(_HEAD + b"Content-Length: 500\r\n\r\n["), PASSING),
    "short body with its length": Fault(saying(_HEAD + b"Content-Length: 500\r\n\r\n[]"), PASSING),
    "short body in chunks": Fault(saying(_CHUNKED + b"2\r\n[]\r\n"), PASSING),
    "short body without a length": Fault(saying(_HEAD + b"\r\n" + _ONE[:-3]), (ERROR,)),
    "no http": Fault(saying(b"SSH-2.0-OpenSSH_9.9\r\n"), PASSING),
    "headers without end": Fault(_pouring(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 100_000, 100), PASSING),
    "storm of 500": Fault(saying(reply(b"<p>", 500, kind="text/html")), PASSING),
    "storm of 503": Fault(BROKEN, PASSING),
    "429 for weeks": Fault(_busy(_WEEKS), (ERROR,)),
    "429 for a negative time": Fault(_busy("-5"), PASSING),
    "html": Fault(saying(reply(b"<p>[]</p>", kind="text/html")), (ERROR,)),
    "wrong charset": Fault(saying(reply(b"[]", kind="application/json; charset=utf-16")), (ERROR,)),
    "not utf-8": Fault(saying(reply(_ONE.replace(b"X-", b"\xff-"))), (ERROR,)),
    "duplicate keys": Fault(saying(reply(_ONE.replace(b'"owner"', b'"owner": "A", "owner"'))), (ERROR,)),
    "NaN": Fault(saying(reply(_ONE.replace(b"1.0", b"NaN"))), (ERROR,)),
    "depth 100,000": Fault(saying(reply(b"[" * 100_000 + b"]" * 100_000)), (ERROR,)),
    "500 MB announced": Fault(_pouring(_HEAD + b"Content-Length: 500000000\r\n\r\n", b" " * 65_536, 7_630), (ERROR,)),
    "500 MB in chunks": Fault(_pouring(_CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n", 7_630), (ERROR,)),
    "gzip bomb": Fault(saying(reply(gzip.compress(b" " * 20_000_000), headers={"Content-Encoding": "gzip"})), (ERROR,)),
    "redirect to another host": Fault(_redirecting("http://127.0.0.2:9/v1/identify/travellers"), (ERROR,)),
    "redirect to the metadata address": Fault(_redirecting("http://169.254.169.254/latest/meta-data/"), (ERROR,)),
    "redirect to a file": Fault(_redirecting("file:///etc/passwd"), (ERROR,)),
    "expired certificate": Fault(SOUND, PASSING, tls="expired"),
    "certificate of another host": Fault(SOUND, PASSING, tls="wrong host"),
    "certificate of its own making": Fault(SOUND, PASSING, tls="unknown authority"),
    "foreign owner": Fault(saying(reply([candidate(1, owner="DOS")])), (LegState.QUARANTINED,)),
    "more candidates than asked": Fault(saying(reply([candidate(number) for number in range(1, 40)])), (ERROR,)),
    "picture bomb": Fault(saying(_picture()), (ANSWERED,)),
    "clock off": Fault(_busy("Thu, 01 Jan 1998 00:00:00 GMT", Date="Thu, 01 Jan 1998 00:00:00 GMT"), PASSING),
    "callback twice": Fault(None, (ANSWERED,), adapter="dos"),
    "callback forged": Fault(None, (LATE,), adapter="dos"),
    "callback for another search": Fault(None, (LATE,), adapter="dos"),
}
"""Name, and what may come of it. Circuits shut, so that a leg may also wait for its partner until its deadline."""


def _calling_back(name: str, fault: Fault, stage: Stage, strangers: list[str]) -> Act:
    """Takes the search, has no news of it for ever, and sends callbacks of its kind."""
    at_work: set[asyncio.Task[None]] = set()

    async def call_back(transaction: str) -> None:
        await asyncio.sleep(0.3)
        if name == "callback twice":
            for body in (None, None, [candidate(1), candidate(2)]):
                fault.statuses.append(await stage.deliver(name_of(name), transaction, body=body))
        elif name == "callback forged":
            fault.statuses.append(await stage.deliver(name_of(name), transaction, forged=True))
        else:
            fault.statuses.append(await stage.deliver(name_of(name), transaction, task="another"))
            fault.statuses.append(await stage.deliver(name_of(name), (strangers or ["txn_" + "a" * 26])[-1]))

    async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if not asked.search:
            writer.write(reply(b'"PENDING"'))
            return
        writer.write(reply({"taskId": TASK}, 202))
        task = asyncio.create_task(call_back(asked.transaction))
        at_work.add(task)
        task.add_done_callback(at_work.discard)

    return act


def name_of(fault: str) -> str:
    """The fault's partner, as the register names it."""
    return "p-" + "".join(letter if letter.isalnum() else "-" for letter in fault.lower()).strip("-")


@asynccontextmanager
async def faulty_partners(stage: Stage, beside: RawPartner) -> AsyncIterator[dict[str, RawPartner | str]]:
    """One partner for each fault, on loopback; by the fault's name, itself, or its address where nobody listens."""

    class Strangers(list[str]):
        """Transaction ids of the partner beside: somebody else's searches."""

        def __bool__(self) -> bool:
            return bool(beside.searches)

        def __getitem__(self, _index: Any) -> str:
            return beside.searches[-1].transaction

    async with AsyncExitStack() as open_partners:
        found: dict[str, RawPartner | str] = {}
        for name, fault in FAULTS.items():
            if name == "refuses":
                with socket.socket() as taken:
                    taken.bind(("127.0.0.1", 0))
                    found[name] = f"http://127.0.0.1:{taken.getsockname()[1]}"
                continue
            act = fault.act or _calling_back(name, fault, stage, Strangers())
            tls = served_with(fault.tls) if fault.tls else None
            found[name] = await open_partners.enter_async_context(raw_partner(act, tls))
        yield found
