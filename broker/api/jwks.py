"""The production issuer's public keys, fetched from its published set and kept for a while."""

import asyncio
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import structlog
from joserfc.jwk import KeySet

from broker.kernel.clock import Clock
from broker.kernel.errors import Unavailable
from broker.kernel.wire import WireFailure, WireReply
from broker.transport import Budget, Transport

_FRESH: Final = timedelta(minutes=5)
_OK: Final = 200
_PAUSE: Final = timedelta(seconds=10)
_log = structlog.get_logger(__name__)


class JwksSource:
    """Keys are fetched again after five minutes; while that fails, the last ones serve, and it is logged."""

    def __init__(self, url: str, clock: Clock) -> None:
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path or "/"
        self._clock = clock
        self._held: KeySet | None = None
        self._next: datetime | None = None
        self._fetching = asyncio.Lock()

    async def keys(self) -> KeySet:
        """The issuer's keys. Raises Unavailable when there are none to be had."""
        async with self._fetching:
            if self._held is None or self._next is None or self._clock.now() >= self._next:
                await self._fetch()
            if self._held is None:
                raise Unavailable
            return self._held

    async def _fetch(self) -> None:
        budget = Budget(total_seconds=5, call_seconds=3, reply_bytes=100_000, retries=1, on_sent=None)
        try:
            async with Transport() as transport:
                reply = await transport.wire(self._base, budget).send("GET", self._path, idempotent=True)
            self._held = _key_set(reply)
            self._next = self._clock.now() + _FRESH
        except (WireFailure, ValueError, KeyError) as fault:
            _log.error("issuer_keys_not_fetched", kind=type(fault).__name__)
            self._next = self._clock.now() + _PAUSE


def _key_set(reply: WireReply) -> KeySet:
    if reply.status != _OK or not isinstance(reply.json, dict):
        raise ValueError("not a key set")
    return KeySet.import_key_set(reply.json)  # type: ignore[arg-type]
