"""The issuer's keys: what is published is used as far as it is understood, and nobody waits for an issuer that hangs."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey

from broker.api.jwks import JwksSource
from broker.kernel.errors import Unavailable

KEY = ECKey.generate_key("P-256", {"kid": "good"}).as_dict(private=False)
UNKNOWN: list[Any] = [{"kty": "EC", "crv": "P-999", "x": "a", "y": "b"}, {"crv": "P-256"}, {"kty": "New"}, 7]


class Clock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


@dataclass
class Issuer:
    """Publishes keys; how it answers can be changed."""

    url: str = ""
    keys: Any = field(default_factory=lambda: [KEY])
    hangs: bool = False
    asked: list[str] = field(default_factory=list)


@asynccontextmanager
async def issuer() -> AsyncIterator[Issuer]:
    made, over = Issuer(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode())
        if made.hangs:
            await over.wait()
        body = json.dumps({"keys": made.keys}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys?tenant=a"
    try:
        yield made
    finally:
        over.set()
        await asyncio.sleep(0.05)
        server.close()
        await server.wait_closed()


def test_keys_of_an_unknown_kind_are_passed_over_and_the_query_is_asked() -> None:
    async def run() -> None:
        async with issuer() as one:
            one.keys = [*UNKNOWN, KEY]
            found = await JwksSource(one.url, Clock()).keys()
            assert [key.kid for key in found.keys] == ["good"]
            assert one.asked == ["/keys?tenant=a"]

    asyncio.run(run())


@pytest.mark.parametrize("published", [[], UNKNOWN, {"not": "a list"}, None])
def test_without_any_key_nobody_is_let_in_and_the_issuer_is_not_asked_at_every_call(published: Any) -> None:
    async def run() -> None:
        async with issuer() as one:
            one.keys, clock = published, Clock()
            source = JwksSource(one.url, clock)
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await source.keys()
            assert len(one.asked) == 1
            one.keys, clock.moment = [KEY], clock.moment + timedelta(seconds=11)
            assert (await source.keys()).keys

    asyncio.run(run())


def test_with_keys_at_hand_nobody_waits_for_an_issuer_that_hangs() -> None:
    async def run() -> None:
        async with issuer() as one:
            clock = Clock()
            source = JwksSource(one.url, clock)
            before = await source.keys()
            one.hangs, clock.moment = True, clock.moment + timedelta(minutes=6)
            began = time.monotonic()
            assert all(found is before for found in await asyncio.gather(*(source.keys() for _ in range(5))))
            assert time.monotonic() - began < 1
            await asyncio.sleep(0.2)
            assert len(one.asked) == 2, "it is asked once, beside the calls"

    asyncio.run(run())


def test_new_keys_are_taken_up_beside_the_calls() -> None:
    async def run() -> None:
        async with issuer() as one:
            clock = Clock()
            source = JwksSource(one.url, clock)
            await source.keys()
            one.keys = [ECKey.generate_key("P-256", {"kid": "next"}).as_dict(private=False)]
            clock.moment += timedelta(minutes=6)
            for _ in range(100):
                if [key.kid for key in (await source.keys()).keys] == ["next"]:
                    return
                await asyncio.sleep(0.02)
            pytest.fail("the new keys were not taken up")

    asyncio.run(run())
