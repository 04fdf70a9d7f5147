"""The production issuer's public keys, fetched from its published set and kept for a while."""

import asyncio
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

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
        self._query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._clock = clock
        self._held: KeySet | None = None
        self._next: datetime | None = None
        self._fetching = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def keys(self) -> KeySet:
        """The issuer's keys. Raises Unavailable when there are none to be had.

        With keys at hand nobody waits for the issuer: they are fetched anew beside the calls.
        """
        held = self._held
        if held is None:
            async with self._fetching:
                if self._is_due():
                    await self._fetch()
            held = self._held
        if held is None:
            raise Unavailable
        if self._is_due() and (self._refresh is None or self._refresh.done()):
            self._refresh = asyncio.create_task(self._fetch())
        return held

    def _is_due(self) -> bool:
        return self._next is None or self._clock.now() >= self._next

    async def _fetch(self) -> None:
        budget = Budget(total_seconds=5, call_seconds=3, reply_bytes=100_000, retries=1, on_sent=None)
        try:
            async with Transport() as transport:
                reply = await transport.wire(self._base, budget).send(
                    "GET", self._path, query=self._query, idempotent=True
                )
            self._held = _key_set(reply)
            self._next = self._clock.now() + _FRESH
        except (WireFailure, ValueError) as fault:
            why = fault.fault.value if isinstance(fault, WireFailure) else str(fault)
            _log.error("issuer_keys_not_fetched", why=why, kept=self._held is not None)
            self._next = self._clock.now() + _PAUSE


def _key_set(reply: WireReply) -> KeySet:
    told = reply.json.get("keys") if reply.status == _OK and isinstance(reply.json, dict) else None
    keys = [key for key in map(_key, told) if key is not None] if isinstance(told, list) else []
    if not keys:
        raise ValueError(f"status {reply.status} and no key of a known kind in it")
    return KeySet(keys)


def _key(told: object) -> Key | None:
    """One key; None for one of a kind that is not known here, which is to be passed over (RFC 7517, section 5)."""
    try:
        return JWKRegistry.import_key(told)  # type: ignore[arg-type]
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        _log.warning("issuer_key_passed_over")
        return None
