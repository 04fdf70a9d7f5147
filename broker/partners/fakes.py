"""Stand-ins for the parts around an adapter, shipped so that nobody has to mock them.

`ScriptedWire` answers from a list, `RecordingWire` looks over the shoulder of a real wire, `NullAdapter` is a partner
that never finds anybody and says so aloud.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from broker.kernel.strict_json import Json
from broker.kernel.wire import Octets, WireFailure, WireFault, WireReply
from broker.partners.contract import NoHit, OrderTerms, Outcome, SearchOrder, StillPending, Wire


@dataclass(frozen=True, slots=True)
class SentCall:
    """One call as the adapter asked for it."""

    method: str
    path: str
    query: Mapping[str, str]
    json: Json = field(repr=False)
    idempotent: bool
    body: Octets | None = field(default=None, repr=False)
    accept: str | None = None


class ScriptedWire:
    """Gives the replies of its script in turn, or raises the failures in it; then it is unreachable."""

    def __init__(self, script: Sequence[WireReply | WireFault]) -> None:
        self._script = list(script)
        self.sent: list[SentCall] = []

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
        """As `Wire.send`, without a network."""
        self.sent.append(SentCall(method, path, dict(query or {}), json, idempotent, body, accept))
        if not self._script:
            raise WireFailure(WireFault.UNREACHABLE)
        step = self._script.pop(0)
        if isinstance(step, WireFault):
            raise WireFailure(step)
        return step


class RecordingWire:
    """Passes every call on to another wire and keeps what was sent and what came back."""

    def __init__(self, inner: Wire) -> None:
        self._inner = inner
        self.sent: list[SentCall] = []
        self.replies: list[WireReply] = []

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
        """As `Wire.send`."""
        self.sent.append(SentCall(method, path, dict(query or {}), json, idempotent, body, accept))
        reply = await self._inner.send(
            method, path, query=query, json=json, body=body, accept=accept, idempotent=idempotent
        )
        self.replies.append(reply)
        return reply


class NullAdapter:
    """Asks nobody and finds nobody. It warns, so that it is not left in place by mistake."""

    name: Final = "null"

    def __init__(self) -> None:
        warnings.warn("NullAdapter asks no partner: every search is a no hit", RuntimeWarning, stacklevel=2)

    async def search(self, order: SearchOrder, wire: Wire) -> Outcome:  # noqa: ARG002 - the contract's form
        return NoHit()

    async def poll(self, order: OrderTerms, task_id: str, wire: Wire) -> Outcome:  # noqa: ARG002 - the contract's form
        return StillPending()

    def callback(self, order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:  # noqa: ARG002 - as above
        return StillPending()
