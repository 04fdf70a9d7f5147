"""Asking one partner, so that there is always one typed outcome and it always comes in time.

Whatever an adapter does — raise, hang, swallow its cancellation, make up an object, call in a loop — ends here as a
`Failed` or a `TimedOut`. What its author wrote in an exception is logged, never passed on. Only an adapter that
blocks the thread cannot be helped; the conformance suite finds those.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import ValidationError

from broker.kernel.ids import PartnerId
from broker.kernel.whereabouts import tells_where
from broker.kernel.wire import Health, WireFailure, WireFault
from broker.partners.callbacks import api_key
from broker.partners.calls import CallCounts
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    NoHit,
    OrderTerms,
    Outcome,
    RedeliveryAsked,
    Refused,
    SearchOrder,
    StillPending,
    Submitted,
    TimedOut,
)
from broker.partners.registry import Partner, Registry
from broker.transport import Budget, MayRepeat, OnSent, Transport, Wire

_log = structlog.get_logger(__name__)

_FROM_SEARCH: Final[tuple[type[Outcome], ...]] = (Answered, NoHit, Submitted, Refused, Failed, TimedOut)
_FROM_POLL: Final[tuple[type[Outcome], ...]] = (
    Answered,
    NoHit,
    StillPending,
    RedeliveryAsked,
    Refused,
    Failed,
    TimedOut,
)
_FROM_CALLBACK: Final[tuple[type[Outcome], ...]] = (Answered, NoHit, StillPending, Failed)
_GRACE_SECONDS: Final = 0.1
"""How long a cancelled adapter may take to let go before it is left behind."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What came of asking, and what it took. Retries are not searches: count them apart."""

    outcome: Outcome
    calls: int
    """Calls that went out on the wire, retries included."""
    retries: int
    """Calls among them that repeated an earlier one, with the same transaction id and the same bytes."""
    health: Health | None
    """What the last call said of the partner's side; None if no call went out."""
    passing: bool
    """Whether the last call failed in a way that may pass."""
    again_after: float | None
    """Seconds after which it may be asked once more, where the partner wants a longer wait than is held here."""
    retry_after: float
    """Seconds that the partner wants to be left alone, by the last reply; 0 where it says nothing of it."""


@dataclass(frozen=True, slots=True)
class _Leave:
    """What the caller of one dispatch allows it."""

    seconds: float
    retries: int
    on_sent: OnSent | None
    may_repeat: MayRepeat | None


class Dispatcher:
    """Asks partners. One serves all searches of a process; it holds no state of any of them."""

    def __init__(self, registry: Registry, transport: Transport, counts: CallCounts | None = None) -> None:
        self._registry = registry
        self._transport = transport
        self._counts = counts or CallCounts()

    async def search(
        self,
        entry_id: PartnerId,
        order: SearchOrder,
        *,
        deadline_seconds: float,
        on_sent: OnSent | None = None,
        may_repeat: MayRepeat | None = None,
        attempts: int | None = None,
    ) -> Dispatched:
        """Submit *order*. A call is made at most *attempts* times; as often as the register says, where not given.

        *on_sent* is awaited before each call goes out, with its number from 1, and *may_repeat* before one is
        repeated; what they raise stops the call and is raised here, as it is the caller's trouble and not the
        partner's. So is a cancellation of the caller. Nothing else is raised but `KeyError` for a partner that is not
        registered, which the caller has ruled out.
        """
        partner = self._partner(entry_id)

        async def ask(wire: Wire) -> Outcome:
            return await partner.adapter.search(order, wire)

        leave = _Leave(deadline_seconds, (attempts or partner.entry.limits.attempts) - 1, on_sent, may_repeat)
        return await self._dispatch(partner, order, ask, _FROM_SEARCH, leave)

    async def poll(
        self,
        entry_id: PartnerId,
        order: OrderTerms,
        task_id: str,
        *,
        deadline_seconds: float,
        on_sent: OnSent | None = None,
    ) -> Dispatched:
        """Ask what became of a submitted order. No call is repeated: whoever polls asks again by itself."""
        partner = self._partner(entry_id)

        async def ask(wire: Wire) -> Outcome:
            return await partner.adapter.poll(order, task_id, wire)

        leave = _Leave(deadline_seconds, retries=0, on_sent=on_sent, may_repeat=None)
        return await self._dispatch(partner, order, ask, _FROM_POLL, leave)

    def callback(self, entry_id: PartnerId, order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:
        """Read a late answer. The caller has verified its signature and that it belongs to this order (contract.py)."""
        partner = self._partner(entry_id)
        if len(body) > partner.entry.limits.reply_bytes:
            return Failed(kind=FailureKind.TOO_LARGE)
        try:
            outcome = partner.adapter.callback(order, body, query)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an adapter is not trusted; logged with its trace
            return _outcome_of(error, partner)
        return _checked(outcome, _FROM_CALLBACK, order, partner)

    def _partner(self, entry_id: PartnerId) -> Partner:
        partner = self._registry.find(entry_id)
        if partner is None:
            raise KeyError(entry_id)
        return partner

    async def _dispatch(
        self,
        partner: Partner,
        order: OrderTerms,
        ask: Callable[[Wire], Awaitable[Outcome]],
        allowed: tuple[type[Outcome], ...],
        leave: _Leave,
    ) -> Dispatched:
        limits = partner.entry.limits
        budget = Budget(
            total_seconds=leave.seconds,
            call_seconds=min(limits.call_seconds, leave.seconds),
            whole_call=limits.call_seconds <= leave.seconds,
            reply_bytes=limits.reply_bytes,
            retries=leave.retries,
            on_sent=leave.on_sent,
            may_repeat=leave.may_repeat,
            on_ended=self._counts.of(partner.entry.id),
        )
        key, header = api_key(partner.secret()), partner.entry.key_header
        wire = self._transport.wire(partner.url, budget, bearer=key, key_header=header)

        async def guarded() -> Outcome:
            # SystemExit would end the event loop itself if it left the task.
            try:
                return await ask(wire)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - an adapter is not trusted; logged with its trace
                if budget.hook_error is not None:
                    raise budget.hook_error from None  # The caller's own trouble came through the adapter.
                return _outcome_of(error, partner)

        outcome = await _within(guarded(), leave.seconds)
        if budget.hook_error is not None:
            raise budget.hook_error
        return Dispatched(
            outcome=_checked(outcome, allowed, order, partner),
            calls=budget.calls,
            retries=budget.repeated,
            health=budget.health,
            passing=budget.passing,
            again_after=budget.again_after,
            retry_after=budget.retry_after,
        )


async def _within(asking: Coroutine[Any, Any, Outcome], seconds: float) -> Outcome:
    # `asyncio.timeout` would wait for ever for an adapter that swallows its cancellation; a task is left behind.
    task = asyncio.create_task(asking)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        late = not task.done()
        if late:
            task.cancel()
    if late:
        await asyncio.wait({task}, timeout=_GRACE_SECONDS)
        return TimedOut()
    if task.cancelled():
        return Failed(kind=FailureKind.ADAPTER_ERROR)
    return task.result()


def _outcome_of(error: BaseException, partner: Partner) -> Outcome:
    if isinstance(error, WireFailure):
        if error.fault is WireFault.TIMED_OUT:
            return TimedOut()
        return Failed(kind=FailureKind(error.fault.value))
    # Neither the message nor the variables are logged: they may hold the probe, a credential or a partner's record.
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    _log.error("partner.adapter_raised", partner=partner.entry.id, error=type(error).__name__, frames=frames)
    return Failed(kind=FailureKind.ADAPTER_ERROR)


def _checked(outcome: object, allowed: tuple[type[Outcome], ...], order: OrderTerms, partner: Partner) -> Outcome:
    # The class must be exactly one of those that fit: an empty dictionary would otherwise read as "no hit".
    of_class = next((one for one in allowed if type(outcome) is one), None)
    if of_class is None:
        _log.error("partner.outcome_out_of_place", partner=partner.entry.id, outcome=type(outcome).__name__)
        return Failed(kind=FailureKind.ADAPTER_ERROR)
    try:
        seen = of_class.model_validate(outcome)
    except (ValidationError, RecursionError) as error:
        _log.error("partner.outcome_invalid", partner=partner.entry.id, error=type(error).__name__)
        return Failed(kind=FailureKind.ADAPTER_ERROR)
    if not isinstance(seen, Answered):
        return seen
    if partner.entry.participation is not None and _says_where(seen):
        return Failed(kind=FailureKind.LOCATION_SENT)
    return _checked_answer(seen, order) if seen.candidates else NoHit()


def _says_where(answer: Answered) -> bool:
    # An adapter should have seen to it already; it is not trusted to have.
    return any(tells_where(name) for candidate in answer.candidates for name in candidate.facts)


def _checked_answer(answer: Answered, order: OrderTerms) -> Answered | Failed:
    if len(answer.candidates) > order.max_candidates:
        return Failed(kind=FailureKind.TOO_MANY_CANDIDATES)
    ranks = {candidate.rank for candidate in answer.candidates}
    references = {candidate.reference for candidate in answer.candidates}
    if len(ranks) < len(answer.candidates) or len(references) < len(answer.candidates):
        return Failed(kind=FailureKind.MALFORMED_REPLY)
    return Answered(candidates=tuple(sorted(answer.candidates, key=lambda candidate: candidate.rank)))
