"""One leg that is due: asked, or asked about, and what came of it written down.

It may be done again at any point, by another worker too: a leg that has ended is left alone, one that was sent is
sent again under the same transaction id, and one that waits for its answer is asked about. No transaction is open
while a partner is being asked.
"""

import asyncio
import random
from datetime import UTC, timedelta
from typing import Final

from opentelemetry.trace import SpanKind

from broker.audit.events import LegSent, service_actor
from broker.audit.recorder import record
from broker.kernel.clock import Clock
from broker.kernel.ids import SearchId
from broker.kernel.partner import PartnerEntry
from broker.kernel.wire import Health
from broker.kernel.words import LegState
from broker.partners.contract import (
    Failed,
    OrderTerms,
    Outcome,
    ProbeImage,
    RedeliveryAsked,
    SearchOrder,
    StillPending,
    Submitted,
    TimedOut,
)
from broker.partners.dispatch import Dispatched, Dispatcher
from broker.partners.registry import Registry
from broker.search import leases
from broker.search.admission import Admitted, LegAdmission
from broker.search.lines import LineRepository
from broker.search.model import Leg, Search
from broker.search.recheck import Recheck
from broker.search.repository import SearchRepository
from broker.search.settling import CIRCUIT_OPEN, Settling
from broker.storage.unit_of_work import UnitOfWork
from broker.tracing import Fact, span

WORKER: Final = service_actor("worker")
_GROWTH: Final = 1.5
"""Each poll waits longer than the one before by this factor, from the partner's own hint …"""
_LONGEST_BETWEEN: Final = 60.0
"""… up to this many seconds, unless the partner asks for more."""
_JITTER: Final = 0.1
"""So that what was submitted together is not asked about together for ever."""
_LAST_LOOK: Final = timedelta(seconds=1)
"""A poll that would come after the deadline comes this long before it."""
_TO_WAIT: Final = "partner_asks_to_wait"
_UNREGISTERED: Final = timedelta(seconds=30)
_UNDECIDED: Final = timedelta(seconds=1)
"""Until the next look at a leg of which nobody can say whether it may go, as the policy in force cannot be had."""


class _EndedMeanwhile(Exception):
    """The leg was ended by somebody else before this call went out."""


class LegAsking:
    """What is done with a leg that this worker looks after."""

    def __init__(
        self,
        work: UnitOfWork,
        searches: SearchRepository,
        settling: Settling,
        dispatcher: Dispatcher,
        registry: Registry,
        recheck: Recheck,
        clock: Clock,
        base_url: str,
    ) -> None:
        """*base_url* is where partners reach the API, for those that answer by a callback."""
        self._work = work
        self._searches = searches
        self._settling = settling
        self._dispatcher = dispatcher
        self._registry = registry
        self._recheck = recheck
        self._clock = clock
        self._base_url = base_url
        self._lines = LineRepository()
        self.admission = LegAdmission(work, self._lines, registry)

    async def look_after(self, admitted: Admitted) -> None:
        """Ask, or ask about, one leg; afterwards it has ended or is due at another time."""
        async with self._work.begin() as tx:
            search = await self._searches.read(tx, admitted.lease.search_id)
        facts = {Fact.PARTNER: str(admitted.lease.partner)}
        with span("leg", SpanKind.CONSUMER, facts, parent=search.traceparent if search is not None else None):
            await self._look_after(search, admitted)

    async def _look_after(self, search: Search | None, admitted: Admitted) -> None:
        leg = _leg_of(search, admitted)
        partner = self._registry.find(admitted.lease.partner)
        health: Health | None = None
        try:
            if search is None or leg is None or leg.state.final:
                return
            if partner is None:  # Taken out of the register since; the sweeper ends it at its deadline.
                await self._let_go(leg, _UNREGISTERED)
            elif leg.state is LegState.QUEUED and not await self._may_still_go(search, leg):
                pass  # It has ended as refused, or is looked at again in a moment.
            elif leg.state is LegState.PENDING and leg.task_id is not None:
                health = await self._poll(search, leg, partner.entry, leg.task_id)
            else:
                health = await self._send(search, leg, partner.entry, admitted)
        finally:
            if health is None and admitted.trial:
                await self.admission.report(admitted.lease.partner, None, admitted.admission)

    async def _may_still_go(self, search: Search, leg: Leg) -> bool:
        """Ask the rules again: they, the day or the case may be others than when the search was accepted."""
        refusals = await self._recheck.refusals(search, leg)
        if refusals is None:
            await self._let_go(leg, _UNDECIDED)
        elif refusals:
            await self._settling.refuse(WORKER, leg.transaction_id, refusals)
        return refusals == ()

    async def _send(self, search: Search, leg: Leg, entry: PartnerEntry, admitted: Admitted) -> Health | None:
        try:
            dispatched = await self._asked(search, leg, entry, admitted)
        except _EndedMeanwhile:
            return None
        if dispatched is None:
            await self._settling.expire(WORKER, leg.transaction_id)
            return None
        if dispatched.health is not None:
            await self.admission.report(entry.id, dispatched.health, admitted.admission)
        outcome = dispatched.outcome
        if isinstance(outcome, Submitted):
            await self._submitted(leg, entry, outcome)
        elif not await self._comes_back(leg, entry, dispatched, admitted):
            await self._end(leg, entry, outcome)
        return dispatched.health

    async def _asked(self, search: Search, leg: Leg, entry: PartnerEntry, admitted: Admitted) -> Dispatched | None:
        seconds = self._seconds_left(leg)
        if seconds <= 0:
            return None
        async with self._work.begin() as tx:
            image = ProbeImage.of(await self._searches.probe(tx, SearchId(search.id)))
        order = SearchOrder(
            **_order(search, leg, entry).model_dump(),
            probe=image,
            callback_url=f"{self._base_url}/v1/callbacks/{leg.partner}",
        )

        async def sent(number: int) -> None:
            if number > 1:
                await asyncio.sleep((await self.admission.turn(entry.id)).total_seconds())
            await self._sent(search, leg, charged=number == 1 and admitted.lease.taken_over)

        async def may_repeat(health: Health) -> bool:
            return await self.admission.may_repeat(entry.id, health, admitted.admission)

        return await self._dispatcher.search(
            entry.id,
            order,
            deadline_seconds=seconds,
            on_sent=sent,
            may_repeat=may_repeat,
            once=admitted.trial or leg.calls + 1 >= entry.limits.attempts,
        )

    async def _comes_back(self, leg: Leg, entry: PartnerEntry, came: Dispatched, admitted: Admitted) -> bool:
        """Whether the leg is asked once more later: the partner wants it so, or its call was the one that tried."""
        if not (came.passing and isinstance(came.outcome, Failed | TimedOut)):
            return False
        after, why = came.again_after, _TO_WAIT
        if after is None:
            if not admitted.trial or leg.calls + came.calls >= entry.limits.attempts:
                return False
            granted, pause = await self.admission.may_return(entry.id)
            if not granted:
                return False
            after, why = pause.total_seconds(), CIRCUIT_OPEN
        if after >= self._seconds_left(leg):
            return False
        await self._let_go(leg, timedelta(seconds=after), why)
        return True

    async def _poll(self, search: Search, leg: Leg, entry: PartnerEntry, task_id: str) -> Health | None:
        seconds = self._seconds_left(leg)
        if seconds <= 0:
            await self._settling.expire(WORKER, leg.transaction_id)
            return None

        async def paced(number: int) -> None:
            if number > 1:
                await asyncio.sleep((await self.admission.turn(entry.id)).total_seconds())

        order = _order(search, leg, entry)
        came = await self._dispatcher.poll(entry.id, order, task_id, deadline_seconds=seconds, on_sent=paced)
        match came.outcome:
            case StillPending() | RedeliveryAsked() as pending:
                await self._asked_about(leg, pending.poll_after_seconds)
            case Failed() | TimedOut() if came.passing:
                # The partner has the search; that it cannot be reached for a while is not its answer.
                await self._asked_about(leg, came.again_after or 1.0)
            case outcome:
                await self._end(leg, entry, outcome)
        return came.health

    async def _end(self, leg: Leg, entry: PartnerEntry, outcome: Outcome) -> None:
        if isinstance(outcome, Submitted | StillPending | RedeliveryAsked):
            return  # Dispatch lets none of these through here; the sweeper would end the leg at its deadline.
        await self._settling.settle(WORKER, leg.transaction_id, entry, outcome)

    async def _sent(self, search: Search, leg: Leg, *, charged: bool) -> None:
        """Recorded before each call goes out: what a partner may have seen is never missing from the log."""
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, leg.transaction_id)
            if held is None or held[1].state.final:
                raise _EndedMeanwhile
            calls = held[1].calls + 1
            changes = {"state": LegState.SENT.value, "calls": calls, "reason": None}
            if calls == 1:
                changes["sent_at"] = await tx.clock()
            elif charged:
                line, now = await self._lines.hold_one(tx, leg.partner)
                await self._lines.write(tx, line.charged(now))
            await self._searches.change_leg(tx, leg.transaction_id, **changes)
            await record(
                tx,
                LegSent(
                    actor=WORKER,
                    search_id=search.id,
                    partner=leg.partner,
                    transaction_id=leg.transaction_id,
                    attempt=calls,
                ),
            )

    async def _submitted(self, leg: Leg, entry: PartnerEntry, task: Submitted) -> None:
        deadline = leg.deadline_at
        if entry.limits.answer_seconds is not None:
            deadline = max(deadline, self._clock.now() + timedelta(seconds=entry.limits.answer_seconds))
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, leg.transaction_id)
            if held is not None and not held[1].state.final:
                await self._searches.change_leg(
                    tx, leg.transaction_id, state=LegState.PENDING.value, task_id=task.task_id, deadline_at=deadline
                )
                await leases.let_go(tx, leg.transaction_id, timedelta(seconds=task.poll_after_seconds))

    async def _asked_about(self, leg: Leg, hint: float) -> None:
        """Ask again later: after the partner's hint, longer each time, and once more just before the deadline."""
        wait = timedelta(seconds=_between(hint, leg.polls))
        left = timedelta(seconds=self._seconds_left(leg))
        if wait > left - _LAST_LOOK:
            wait = max(timedelta(seconds=hint), left - _LAST_LOOK)
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, leg.transaction_id)
            if held is not None and not held[1].state.final:
                await self._searches.change_leg(tx, leg.transaction_id, polls=leg.polls + 1)
                await leases.let_go(tx, leg.transaction_id, wait)

    async def _let_go(self, leg: Leg, after: timedelta, why: str | None = None) -> None:
        async with self._work.begin() as tx:
            await leases.let_go(tx, leg.transaction_id, after, why)

    def _seconds_left(self, leg: Leg) -> float:
        return (leg.deadline_at - self._clock.now()).total_seconds()


def _between(hint: float, polls: int) -> float:
    grown = min(hint * _GROWTH ** min(polls, 50), max(hint, _LONGEST_BETWEEN))
    return grown * (1 + random.uniform(0, _JITTER))  # noqa: S311 - spreads calls; nothing is kept secret by it


def _leg_of(search: Search | None, admitted: Admitted) -> Leg | None:
    wanted = admitted.lease.transaction_id
    return None if search is None else next((leg for leg in search.legs if leg.transaction_id == wanted), None)


def _order(search: Search, leg: Leg, entry: PartnerEntry) -> OrderTerms:
    return OrderTerms(
        transaction_id=leg.transaction_id,
        gallery=entry.gallery,
        max_candidates=search.terms.max_candidates,
        purpose=search.terms.purpose,
        asked_on=search.requested_at.astimezone(UTC).date(),
        participant=search.terms.participant_reference if entry.participation is not None else None,
    )
