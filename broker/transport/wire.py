"""The one place from which the broker calls out over HTTP.

A `Wire` is bound to one base URL from the register and goes nowhere else. It follows no redirect, reads no proxy
from the environment, keeps no cookie, gives each whole exchange a deadline that a slow drip cannot stretch, stops
reading at a byte limit, accepts only plain (not compressed) and strictly read JSON, or whole bodies of the one other
media type that the caller names, and says of everything else what was wrong with it. Calls are repeated only where the caller declares that repeating them is harmless.
"""

import asyncio
import json as json_text
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import urlencode

import httpx
from opentelemetry.trace import SpanKind
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, retry_if_result
from tenacity.wait import wait_random_exponential

from broker.kernel.strict_json import Json
from broker.kernel.wire import Health, Octets, WireFailure, WireFault, WireReply
from broker.tracing import span, tell
from broker.transport.exchange import OneEach, within
from broker.transport.reply import JSON, read

MAX_CALLS: Final = 30
"""Calls that one dispatch may make, retries included: an adapter in a loop ends here."""

OnSent = Callable[[int], Awaitable[None]]
"""Told the number of each call, from 1, just before it goes out. What it raises stops the call."""

OnEnded = Callable[[Health | None, float], None]
"""Told of each call that has ended what it said of the partner's health, and how many seconds it took."""

MayRepeat = Callable[[Health], Awaitable[bool]]
"""Asked before a call is repeated, and told what the one before said of the partner's health."""

LONGEST_HELD: Final = 5.0
"""Seconds that a call waits here before it is repeated; whoever is to wait for longer is told to come back."""
_BROKEN_STATUS: Final = frozenset({500, 502, 503, 504})
_TRANSIENT_STATUS: Final = _BROKEN_STATUS | {429}
_TRANSIENT_FAULT: Final = frozenset(
    {WireFault.UNREACHABLE, WireFault.UNTRUSTED, WireFault.TIMED_OUT, WireFault.TRUNCATED}
)
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+")


_Said = TypeVar("_Said")


@dataclass(slots=True)
class Budget:
    """How much one dispatch may still do, shared by all its calls. Times are in seconds, sizes in bytes."""

    total_seconds: float
    """The whole dispatch: no repeat starts that could not begin before then. Whoever dispatches also enforces it."""
    call_seconds: float
    """One exchange, connect to last byte."""
    reply_bytes: int
    retries: int
    """Repeated calls left."""
    first_wait: float = 0.2
    longest_wait: float = 2.0
    on_sent: OnSent | None = None
    may_repeat: MayRepeat | None = None
    on_ended: OnEnded | None = None
    whole_call: bool = True
    """Whether `call_seconds` is what the register gives the partner, and not less because the search ends before."""
    calls: int = field(default=0, init=False)
    """Calls made, repeated ones included."""
    repeated: int = field(default=0, init=False)
    hook_error: Exception | None = field(default=None, init=False)
    """What a hook raised: our own side's trouble, which must not be taken for the partner's."""
    health: Health | None = field(default=None, init=False)
    """What the last call said of the partner; None before the first."""
    passing: bool = field(default=False, init=False)
    """Whether the last call failed in a way that may pass."""
    again_after: float | None = field(default=None, init=False)
    """Seconds after which the search may be asked once more; set where the wait is too long to be held here."""
    retry_after: float = field(default=0.0, init=False)
    """Seconds that the last reply wants to pass before the next call, where it was not to be had now."""
    _begun: float = field(default_factory=time.monotonic, init=False)
    _call_begun: float = field(default=0.0, init=False)

    async def spend(self, *, repeat: bool) -> None:
        """Count one call that is about to go out."""
        if self.calls >= MAX_CALLS:
            raise WireFailure(WireFault.BUDGET_SPENT)
        self.calls += 1
        if repeat:
            self.repeated += 1
            self.retries -= 1
        if self.on_sent is not None:
            await self._hooked(self.on_sent(self.calls))
        self.health, self.passing = Health.UNKNOWN, True
        self._call_begun = time.monotonic()

    def ended(self, end: WireReply | WireFault) -> None:
        """Note what the last call came to."""
        if isinstance(end, WireReply):
            faulty, self.passing = end.status in _BROKEN_STATUS, end.status in _TRANSIENT_STATUS
        else:
            faulty = self.passing = end in _TRANSIENT_FAULT
        self.retry_after = (end.retry_after or 0.0) if self.passing and isinstance(end, WireReply) else 0.0
        cut = end is WireFault.TIMED_OUT and not self.whole_call
        self.health = Health.UNKNOWN if cut else Health.FAULTY if faulty else Health.SOUND
        self._measured(self.health)

    def abandoned(self) -> None:
        """Note that the last call was given up before it had ended."""
        self._measured(None)

    def _measured(self, health: Health | None) -> None:
        if self.on_ended is not None:
            self.on_ended(health, time.monotonic() - self._call_begun)

    def pause(self, state: RetryCallState) -> float:
        """Seconds until the next repeat: growing and random, and not before the partner wants it."""
        grown = wait_random_exponential(multiplier=self.first_wait, max=self.longest_wait)(state)
        outcome = state.outcome
        reply = None if outcome is None or outcome.failed else outcome.result()
        return max(grown, reply.retry_after or 0.0) if isinstance(reply, WireReply) else grown

    async def exhausted(self, state: RetryCallState) -> bool:
        """Whether the next repeat is one too many, or would come too late; tenacity asks this after each attempt."""
        elapsed = time.monotonic() - self._begun
        if self.retries <= 0 or elapsed + state.upcoming_sleep >= self.total_seconds:
            return True
        if self.may_repeat is not None and not await self._hooked(self.may_repeat(self.health or Health.UNKNOWN)):
            return True
        if state.upcoming_sleep > LONGEST_HELD:
            self.again_after = state.upcoming_sleep
            return True
        return False

    async def _hooked(self, asking: Awaitable[_Said]) -> _Said:
        try:
            return await asking
        except Exception as error:
            self.hook_error = error
            raise


class Transport:
    """Holds the one HTTP client of a process (of an event loop); hands out wires."""

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        """*trust* says whose certificates are believed; unset, those that httpx brings along."""
        self._client = httpx.AsyncClient(
            transport=OneEach(trust or httpx.create_ssl_context(trust_env=False)),
            follow_redirects=False,
            trust_env=False,
            # The deadline around the whole exchange rules; httpx's own timeouts begin anew with every byte.
            timeout=None,  # noqa: S113 - see the line above
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={
                "User-Agent": "interagency-request-broker",
                "Accept": JSON,
                "Accept-Encoding": "identity",
            },
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections."""
        await self._client.aclose()

    def wire(
        self, base_url: str, budget: Budget, *, bearer: str | None = None, key_header: str | None = None
    ) -> "Wire":
        """A wire to *base_url*, which the caller took from the register.

        *bearer* goes into ``Authorization``, or bare into *key_header* for a partner that wants its key there.
        """
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        if bearer is not None and key_header is not None:
            headers = {key_header: bearer}
        return Wire(self._client, base_url, budget, headers)


class Wire:
    """One base URL, for one dispatch."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, budget: Budget, headers: Mapping[str, str]) -> None:
        self._client = client
        self._base = httpx.URL(base_url)
        self._budget = budget
        self._headers = headers

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Json = None,
        body: Octets | None = None,
        accept: str | None = None,
        idempotent: bool = False,
    ) -> WireReply:
        """Make one call; repeat it on a passing fault if it is idempotent. Raises `WireFailure`."""
        request = self._request(method, self._url(path, query), _written(json, body), accept)
        if not idempotent:
            return await self._exchange(request, repeat=False)
        retrying = AsyncRetrying(
            stop=self._budget.exhausted,  # type: ignore[arg-type]  # It is awaited; their types do not say so.
            wait=self._budget.pause,
            retry=retry_if_exception(_passing) | retry_if_result(_transient),
            retry_error_callback=_last,
        )
        reply: WireReply = await retrying(self._attempt(request))
        return reply

    @property
    def target(self) -> str:
        """The base URL's path and query, exactly as `tell` puts them on the wire."""
        return self._base.raw_path.decode("ascii")

    async def tell(self, body: bytes, headers: Mapping[str, str]) -> int:
        """POST *body*, which is JSON, to the base URL itself, once; the status that came. Raises `WireFailure`.

        Only the status counts, so no byte of the reply's body is read.
        """
        sent = {**self._headers, "Content-Type": "application/json", **headers}
        request = self._client.build_request("POST", self._base, headers=sent, content=body)
        await self._budget.spend(repeat=False)
        status = await within(self._budget.call_seconds, self._status(request))
        if 300 <= status < 400:
            raise WireFailure(WireFault.REDIRECTED)
        return status

    def _request(self, method: str, url: httpx.URL, body: Octets | None, accept: str | None) -> httpx.Request:
        headers = dict(self._headers)
        if accept is not None:
            headers["Accept"] = accept
        if body is None:
            return self._client.build_request(method, url, headers=headers)
        headers["Content-Type"] = body.media_type
        return self._client.build_request(method, url, headers=headers, content=body.content)

    def _attempt(self, request: httpx.Request) -> Callable[[], Awaitable[WireReply]]:
        first = True

        async def attempt() -> WireReply:
            nonlocal first
            repeat, first = not first, False
            return await self._exchange(request, repeat=repeat)

        return attempt

    async def _exchange(self, request: httpx.Request, *, repeat: bool) -> WireReply:
        await self._budget.spend(repeat=repeat)
        with span("partner call", SpanKind.CLIENT):
            tell(request.headers)
            return await self._ended(request)

    async def _ended(self, request: httpx.Request) -> WireReply:
        try:
            reply = await within(self._budget.call_seconds, self._reply(request))
        except WireFailure as failure:
            self._budget.ended(failure.fault)
            raise
        except asyncio.CancelledError:
            self._budget.abandoned()
            raise
        self._budget.ended(reply)
        return reply

    async def _reply(self, request: httpx.Request) -> WireReply:
        response = await self._begin(request)
        try:
            return await read(response, self._budget.reply_bytes, response.request.headers["Accept"])
        finally:
            await response.aclose()

    async def _status(self, request: httpx.Request) -> int:
        response = await self._begin(request)
        await response.aclose()
        return response.status_code

    async def _begin(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise WireFailure(WireFault.UNTRUSTED if _unverified(error) else WireFault.UNREACHABLE) from error

    def _url(self, path: str, query: Mapping[str, str] | None) -> httpx.URL:
        segments = path.split("/")
        if _PATH.fullmatch(path) is None or "." in segments or ".." in segments:
            raise WireFailure(WireFault.BAD_ADDRESS)
        target = self._base.raw_path.rstrip(b"/") + path.encode("ascii")
        if query:
            target += b"?" + urlencode(query).encode("ascii")
        return self._base.copy_with(raw_path=target)


def _written(json: Json, body: Octets | None) -> Octets | None:
    # Written once, so that a repeated call carries the same bytes.
    if body is not None or json is None:
        return body
    return Octets(json_text.dumps(json, allow_nan=False).encode("utf-8"), JSON)


def _unverified(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _passing(error: BaseException) -> bool:
    return isinstance(error, WireFailure) and error.fault in _TRANSIENT_FAULT


def _transient(reply: WireReply) -> bool:
    return reply.status in _TRANSIENT_STATUS


def _last(state: RetryCallState) -> WireReply:
    # Out of retries: the last reply as it is, or the last failure.
    outcome = state.outcome
    if outcome is None:  # pragma: no cover - tenacity calls this only after an attempt
        raise WireFailure(WireFault.BUDGET_SPENT)
    reply: WireReply = outcome.result()
    return reply
