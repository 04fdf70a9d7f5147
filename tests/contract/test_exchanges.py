"""Exchanges that are cut off at every moment, by their own deadline and by another at once, leave nothing behind."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Any

import httpx
import pytest
from httpcore._async.http11 import AsyncHTTP11Connection

from broker.kernel.wire import WireFailure
from broker.transport import Budget, Transport, exchange
from tests.support.raw_partner import RawPartner, raw_partner

BODY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


async def silent(_asked: Any, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def half(_asked: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(BODY)
    await asyncio.sleep(30)


async def cut_off(transport: Transport, partner: RawPartner, chance: Random) -> None:
    seconds = chance.uniform(0.01, 0.04)
    budget = Budget(total_seconds=5, call_seconds=seconds, reply_bytes=1000, retries=0)
    with suppress(TimeoutError, WireFailure):
        async with asyncio.timeout(seconds + chance.uniform(-0.0005, 0.0005)):
            await transport.wire(partner.url, budget).send("GET", "/x")


async def left_after_many(act: Any) -> tuple[int, int]:
    """Exchanges still under way, and connections still open at the partner, a moment later."""
    async with raw_partner() as partner, Transport() as transport:
        partner.act, chance = act, Random(20170101)
        for _ in range(15):
            await asyncio.gather(*(cut_off(transport, partner, chance) for _ in range(20)))
        for _ in range(100):
            if not exchange._UNDER_WAY and not partner.open:
                break
            await asyncio.sleep(0.05)
        return len(exchange._UNDER_WAY), len(partner.open)


@pytest.mark.parametrize("act", [silent, half])
def test_nothing_is_left_of_exchanges_that_were_cut_off(act: Any) -> None:
    assert asyncio.run(left_after_many(act)) == (0, 0)


def connections_left(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many the partner sees open a moment after calls that were cut off between connecting and sending."""
    honest = AsyncHTTP11Connection.handle_async_request

    async def slow(self: AsyncHTTP11Connection, request: Any) -> Any:
        await asyncio.sleep(0.3)
        return await honest(self, request)

    monkeypatch.setattr(AsyncHTTP11Connection, "handle_async_request", slow)

    async def run() -> int:
        budget = Budget(total_seconds=5, call_seconds=0.1, reply_bytes=1000, retries=0)
        async with raw_partner() as partner, Transport() as transport:
            partner.act = silent
            for _ in range(3):
                with suppress(WireFailure):
                    await transport.wire(partner.url, budget).send("GET", "/x")
            await asyncio.sleep(0.3)
            return len(partner.open)

    return asyncio.run(run())


def test_a_connection_that_was_made_and_not_used_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connections_left(monkeypatch) == 0


def test_traitor_that_shares_a_pool_keeps_it_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """What httpx does by itself: such a connection is neither used again nor closed, and its place in the pool is lost."""
    monkeypatch.setattr("broker.transport.wire.OneEach", lambda trust: httpx.AsyncHTTPTransport(verify=trust))
    assert connections_left(monkeypatch) == 3
