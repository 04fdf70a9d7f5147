"""One leg that is due: asked, or asked about, and what came of it written down.

It may be done again at any point, by another worker too: a leg that has ended is left alone, one that was sent is
sent again under the same transaction id, and one that waits for its answer is asked about. No transaction is open
while a partner is being asked.
"""

import asyncio
import random
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, Final

from opentelemetry.trace import SpanKind

from broker.audit.events import LegSent, service_actor
from broker.audit.recorder import record
from broker.kernel.ids import SearchId
from broker.kernel.wire import Health
from broker.kernel.words import LegState
from broker.partners.contract import (
    Failed,
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
from broker.search.errand import Errand, terms_of
from broker.search.lines import LineRepository
from broker.search.model import Leg, Search
from broker.search.recheck import Recheck
from broker.search.repository import SearchRepository
from broker.search.rules import Refusals
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
_LAST_LOOK: Final = 1.0
"""A poll that would come after the deadline comes this many seconds before it."""
_TO_WAIT: Final = "partner_asks_to_wait"
_BUDGET_SPENT: Final = "retry_budget_spent"
_UNGRANTED: Final = timedelta(seconds=2)
_UNREGISTERED: Final = timedelta(seconds=30)
_UNDECIDED: Final = timedelta(seconds=1)
"""Until the next look at a leg of which nobody can say whether it may go, as the policy in force cannot be had."""


class _EndedMeanwhile(Exception):
    """The leg was ended by somebody else before this call went out."""


class _MayNotGo(Exception):
    """The rules speak against this call now; or nobody can say whether they do, and there are no refusals."""

    def __init__(self, refusals: Refusals | None) -> None:
        super().__init__()
        self.refusals = refusals


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
        base_url: str,
    ) -> None:
        """*base_url* is where partners reach the API, for those that answer by a callback."""
        self._work = work
        self._searches = searches
        self._settling = settling
        self._dispatcher = dispatcher
        self._registry = registry
        self._recheck = recheck
        self._base_url = base_url
        self._lines = LineRepository()
        self.admission = LegAdmission(work, self._lines, registry)

    async def look_after(self, admitted: Admitted) -> None:
        """Ask, or ask about, one leg; afterwards it has ended or is due at another time."""
        async with self._work.begin() as tx:
            search = await self._searches.read(tx, admitted.lease.search_id)
            now = await tx.clock()
        facts = {Fact.PARTNER: str(admitted.lease.partner)}
        with span("leg", SpanKind.CONSUMER, facts, parent=search.traceparent if search is not None else None):
            errand = await self._errand(search, admitted, now)
            if errand is None:
                if admitted.trial:
                    await self.admission.report(admitted.lease.partner, None, admitted.admission)
            elif errand.leg.state is LegState.PENDING and errand.leg.task_id is not None:
                await self._poll(errand, errand.leg.task_id)
            else:
                await self._send(errand)

    async def refuse_left_behind(self) -> int:
        """End legs whose partner is in the register no more, before it was asked; how many were found.

        The policy in force says whether it is: this process's register may be older.
        """
        registered = [entry.id for entry in self._registry.entries()]
        async with self._work.begin() as tx:
            found = await leases.left_behind(tx, registered)
        for transaction_id in found:
            async with self._work.begin() as tx:
                held = await self._searches.hold_leg(tx, transaction_id)
                search = await self._searches.read(tx, held[0]) if held is not None else None
                refusals = await self._recheck.refusals(tx, search, held[1]) if search and held else None
            if refusals:
                await self._settling.refuse(WORKER, transaction_id, refusals)
        return len(found)

    async def _errand(self, search: Search | None, admitted: Admitted, now: datetime) -> Errand | None:
        """What is to be done, if there is anything."""
        leg = _leg_of(search, admitted)
        if search is None or leg is None or leg.state.final:
            return None
        partner = self._registry.find(leg.partner)
        if partner is None:  # Taken out of the register since; it ends as refused, or at its deadline.
            await self._let_go(leg, _UNREGISTERED)
            return None
        if leg.deadline_at <= now:
            await self._settling.expire(WORKER, leg.transaction_id)
            return None
        if leg.reason == _BUDGET_SPENT and not (await self.admission.may_return(leg.partner))[0]:
            await self._let_go(leg, _UNGRANTED)
            return None
        ends = asyncio.get_running_loop().time() + (leg.deadline_at - now).total_seconds()
        return Errand(search, leg, partner.entry, admitted.admission, ends)

    async def _reported(self, errand: Errand, asking: Awaitable[Dispatched]) -> Dispatched:
        """What came of asking, after the partner's line has heard what it says of the partner."""
        health: Health | None = None
        try:
            came = await asking
            health = came.health
        finally:
            if health is not None or errand.trial:
                await self.admission.report(errand.entry.id, health, errand.admission)
        return came

    async def _send(self, errand: Errand) -> None:
        try:
            came = await self._reported(errand, self._asked(errand))
        except _EndedMeanwhile:
            return
        except _MayNotGo as no:
            if no.refusals is None:
                await self._let_go(errand.leg, _UNDECIDED)
            else:
                await self._settling.refuse(WORKER, errand.leg.transaction_id, no.refusals)
            return
        if isinstance(came.outcome, Submitted):
            await self._submitted(errand, came.outcome)
        elif not await self._comes_back(errand, came):
            await self._end(errand, came.outcome)

    async def _asked(self, errand: Errand) -> Dispatched:
        async with self._work.begin() as tx:
            image = ProbeImage.of(await self._searches.probe(tx, SearchId(errand.search.id)))
        partner = errand.entry.id
        order = SearchOrder(
            **terms_of(errand.search, errand.leg, errand.entry).model_dump(),
            probe=image,
            callback_url=errand.leg.callback_url or f"{self._base_url}/v1/callbacks/{partner}",
        )

        async def sent(number: int) -> None:
            if number > 1:
                await asyncio.sleep((await self.admission.turn(partner)).total_seconds())
            await self._sent(errand, order, charged=number == 1 and errand.repeats_unasked)

        async def may_repeat(health: Health) -> bool:
            return await self.admission.may_repeat(partner, health, errand.admission)

        return await self._dispatcher.search(
            partner,
            order,
            deadline_seconds=errand.seconds_left,
            on_sent=sent,
            may_repeat=may_repeat,
            attempts=errand.attempts,
        )

    async def _comes_back(self, errand: Errand, came: Dispatched) -> bool:
        """Whether the leg is asked once more later: the partner wants it so, or its call was the one that tried."""
        if not (came.passing and isinstance(came.outcome, Failed | TimedOut)):
            return False
        after, why = came.again_after, _TO_WAIT
        if after is None:
            if errand.leg.calls + came.calls >= errand.entry.limits.attempts:
                return False
            granted, pause = False, timedelta()
            if errand.trial:
                granted, pause = await self.admission.may_return(errand.entry.id)
            if not granted and not came.retry_after:
                return False
            # Where the partner itself asks to come again, the leg waits until the budget lets it.
            after, why = max(pause.total_seconds(), came.retry_after), CIRCUIT_OPEN if granted else _BUDGET_SPENT
        if after >= errand.seconds_left:
            return False
        await self._let_go(errand.leg, timedelta(seconds=after), why)
        return True

    async def _poll(self, errand: Errand, task_id: str) -> None:
        async def paced(number: int) -> None:
            if number > 1:
                await asyncio.sleep((await self.admission.turn(errand.entry.id)).total_seconds())

        order = terms_of(errand.search, errand.leg, errand.entry)
        asking = self._dispatcher.poll(
            errand.entry.id, order, task_id, deadline_seconds=errand.seconds_left, on_sent=paced
        )
        came = await self._reported(errand, asking)
        match came.outcome:
            case StillPending() | RedeliveryAsked() as pending:
                await self._asked_about(errand, max(pending.poll_after_seconds, came.retry_after))
            case Failed() | TimedOut() if came.passing:
                # The partner has the search; that it cannot be reached for a while is not its answer.
                await self._asked_about(errand, came.retry_after or 1.0)
            case outcome:
                await self._end(errand, outcome)

    async def _end(self, errand: Errand, outcome: Outcome) -> None:
        if isinstance(outcome, Submitted | StillPending | RedeliveryAsked):
            return  # Dispatch lets none of these through here; the sweeper would end the leg at its deadline.
        await self._settling.settle(WORKER, errand.leg.transaction_id, errand.entry, outcome)

    async def _sent(self, errand: Errand, order: SearchOrder, *, charged: bool) -> None:
        """Before each call goes out the rules are asked: they, the day or the case may be others by now.

        And it is recorded: what a partner may have seen is never missing from the log.
        """
        leg = errand.leg
        async with self._work.begin() as tx:
            refusals = await self._recheck.refusals(tx, errand.search, leg)
            held = await self._searches.hold_leg(tx, leg.transaction_id)
            if held is None or held[1].state.final:
                raise _EndedMeanwhile
            if refusals != ():
                raise _MayNotGo(refusals)
            calls = held[1].calls + 1
            changes: dict[str, Any] = {"state": LegState.SENT.value, "calls": calls, "reason": None}
            if calls == 1:
                asked_as = {"gallery": order.gallery, "callback_url": order.callback_url}
                changes |= {"sent_at": await tx.clock(), **asked_as}
            elif charged:
                line, now = await self._lines.hold_one(tx, leg.partner)
                await self._lines.write(tx, line.charged(now))
            await self._searches.change_leg(tx, leg.transaction_id, **changes)
            await record(
                tx,
                LegSent(
                    actor=WORKER,
                    search_id=errand.search.id,
                    partner=leg.partner,
                    transaction_id=leg.transaction_id,
                    attempt=calls,
                ),
            )

    async def _submitted(self, errand: Errand, task: Submitted) -> None:
        leg, deadline, takes = errand.leg, errand.leg.deadline_at, errand.entry.limits.answer_seconds
        async with self._work.begin() as tx:
            if takes is not None:
                deadline = max(deadline, await tx.clock() + timedelta(seconds=takes))
            held = await self._searches.hold_leg(tx, leg.transaction_id)
            if held is not None and not held[1].state.final:
                await self._searches.change_leg(
                    tx, leg.transaction_id, state=LegState.PENDING.value, task_id=task.task_id, deadline_at=deadline
                )
                await leases.let_go(tx, leg.transaction_id, timedelta(seconds=task.poll_after_seconds))

    async def _asked_about(self, errand: Errand, hint: float) -> None:
        """Ask again later: after the partner's hint, longer each time, and once more just before the deadline."""
        leg = errand.leg
        wait, last_look = _between(hint, leg.polls), errand.seconds_left - _LAST_LOOK
        if wait > last_look:
            wait = max(hint, last_look)
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, leg.transaction_id)
            if held is not None and not held[1].state.final:
                await self._searches.change_leg(tx, leg.transaction_id, polls=leg.polls + 1)
                await leases.let_go(tx, leg.transaction_id, timedelta(seconds=wait))

    async def _let_go(self, leg: Leg, after: timedelta, why: str | None = None) -> None:
        async with self._work.begin() as tx:
            await leases.let_go(tx, leg.transaction_id, after, why)


def _between(hint: float, polls: int) -> float:
    grown = min(hint * _GROWTH ** min(polls, 50), max(hint, _LONGEST_BETWEEN))
    return grown * (1 + random.uniform(0, _JITTER))  # noqa: S311 - spreads calls; nothing is kept secret by it


def _leg_of(search: Search | None, admitted: Admitted) -> Leg | None:
    wanted = admitted.lease.transaction_id
    return None if search is None else next((leg for leg in search.legs if leg.transaction_id == wanted), None)
