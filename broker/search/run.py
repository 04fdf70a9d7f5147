"""Running an accepted search: every open leg at once, each ended by itself.

It may be run again at any point, by another worker too: a leg that has ended is left alone, one that was sent is
sent again under the same transaction id, and one that waits for its answer is asked about. No transaction is open
while a partner is being asked.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from broker.audit.events import LegSent, service_actor
from broker.audit.recorder import record
from broker.jobs.queue import JobQueue
from broker.kernel.clock import Clock
from broker.kernel.ids import SearchId
from broker.kernel.partner import PartnerEntry
from broker.kernel.words import LegState
from broker.partners.contract import (
    OrderTerms,
    Outcome,
    ProbeImage,
    RedeliveryAsked,
    SearchOrder,
    StillPending,
    Submitted,
    TimedOut,
)
from broker.partners.dispatch import Dispatcher
from broker.partners.registry import Registry
from broker.policy.question import AgreementState
from broker.policy.search_rules import agreement_state
from broker.search.model import Leg, Search
from broker.search.repository import SearchRepository
from broker.search.service import RUN_JOB
from broker.search.settling import Settling
from broker.storage.unit_of_work import UnitOfWork

WORKER: Final = service_actor("worker")
_WINDOW_SECONDS: Final = 15.0
"""How long one job stays with a pending leg before it makes room and comes back later."""
_BETWEEN_WINDOWS: Final = timedelta(seconds=1)
_LONGEST_WAIT: Final = 2.0
"""Seconds between two polls, at most."""
_SWEPT_AT_ONCE: Final = 200


class _EndedMeanwhile(Exception):
    """The leg was ended by somebody else before this call went out."""


class SearchRun:
    """The job behind a search, and the sweeper that ends what is overdue."""

    def __init__(
        self,
        work: UnitOfWork,
        searches: SearchRepository,
        settling: Settling,
        dispatcher: Dispatcher,
        registry: Registry,
        clock: Clock,
        base_url: str,
    ) -> None:
        """*base_url* is where partners reach the API, for those that answer by a callback."""
        self._work = work
        self._searches = searches
        self._settling = settling
        self._dispatcher = dispatcher
        self._registry = registry
        self._clock = clock
        self._base_url = base_url
        self.jobs: JobQueue | None = None

    async def run(self, search_id: str) -> None:
        """Ask every partner whose leg is open. Comes back by itself while a leg is still pending."""
        async with self._work.begin() as tx:
            search = await self._searches.read(tx, search_id)
            probe = await self._searches.probe(tx, SearchId(search_id)) if search is not None else b""
        if search is None:
            return
        image = ProbeImage.of(probe)
        legs = [leg for leg in search.legs if not leg.state.final]
        left = await asyncio.gather(*(self._leg(search, leg, image) for leg in legs))
        if any(left) and self.jobs is not None:
            async with self._work.begin() as tx:
                await self.jobs.defer(tx, RUN_JOB, search_id, after=_BETWEEN_WINDOWS)

    async def sweep(self) -> int:
        """End legs whose deadline has passed although no job is looking after them; how many there were."""
        async with self._work.begin() as tx:
            overdue = await self._searches.overdue(tx, self._clock.now(), _SWEPT_AT_ONCE)
        for transaction_id in overdue:
            await self._settling.expire(WORKER, transaction_id)
        return len(overdue)

    async def _leg(self, search: Search, leg: Leg, image: ProbeImage) -> bool:
        """Whether the leg is still pending when its window is over."""
        partner = self._registry.find(leg.partner)
        if partner is None:
            return False  # Taken out of the register since; the sweeper ends it at its deadline.
        entry = partner.entry
        if leg.state is LegState.QUEUED and not _still_agreed(entry, search, self._clock.now()):
            # The register may have changed since the search was accepted; what is not agreed now is not sent now.
            await self._settling.refuse(WORKER, leg.transaction_id, "no_longer_agreed")
            return False
        window_ends = asyncio.get_running_loop().time() + _WINDOW_SECONDS
        if leg.state is LegState.PENDING and leg.task_id is not None:
            task_id = leg.task_id
            wait = 0.0
        else:
            try:
                outcome = await self._ask(search, leg, image)
            except _EndedMeanwhile:
                return False
            if not isinstance(outcome, Submitted):
                await self._end(leg, entry, outcome)
                return False
            task_id, wait = outcome.task_id, outcome.poll_after_seconds
            leg = await self._submitted(leg, entry, task_id)
        return await self._poll(search, leg, entry, task_id, wait, window_ends)

    async def _ask(self, search: Search, leg: Leg, image: ProbeImage) -> Outcome:
        seconds = self._seconds_left(leg)
        if seconds <= 0:
            return TimedOut()
        order = SearchOrder(
            **self._order(search, leg).model_dump(),
            probe=image,
            callback_url=f"{self._base_url}/v1/callbacks/{leg.partner}",
        )

        async def sent(_number: int) -> None:
            await self._sent(search, leg)

        dispatched = await self._dispatcher.search(leg.partner, order, deadline_seconds=seconds, on_sent=sent)
        return dispatched.outcome

    async def _poll(
        self, search: Search, leg: Leg, entry: PartnerEntry, task_id: str, wait: float, window_ends: float
    ) -> bool:
        loop = asyncio.get_running_loop()
        order = self._order(search, leg)
        while True:
            await asyncio.sleep(max(0.0, min(wait, _LONGEST_WAIT, self._seconds_left(leg))))
            seconds = self._seconds_left(leg)
            if seconds <= 0:
                await self._end(leg, entry, TimedOut())
                return False
            if await self._has_ended(leg):
                return False  # A callback was faster, or the requester cancelled.
            dispatched = await self._dispatcher.poll(leg.partner, order, task_id, deadline_seconds=seconds)
            match dispatched.outcome:
                case StillPending() | RedeliveryAsked() as pending:
                    wait = pending.poll_after_seconds
                    if loop.time() + wait > window_ends:
                        return True
                case outcome:
                    await self._end(leg, entry, outcome)
                    return False

    async def _end(self, leg: Leg, entry: PartnerEntry, outcome: Outcome) -> None:
        if isinstance(outcome, Submitted | StillPending | RedeliveryAsked):
            return  # Dispatch lets none of these through here; the sweeper would end the leg at its deadline.
        await self._settling.settle(WORKER, leg.transaction_id, entry, outcome)

    async def _sent(self, search: Search, leg: Leg) -> None:
        """Recorded before each call goes out: what a partner may have seen is never missing from the log."""
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, leg.transaction_id)
            if held is None or held[1].state.final:
                raise _EndedMeanwhile
            calls = held[1].calls + 1
            await self._searches.change_leg(tx, leg.transaction_id, state=LegState.SENT.value, calls=calls)
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

    async def _submitted(self, leg: Leg, entry: PartnerEntry, task_id: str) -> Leg:
        deadline = leg.deadline_at
        if entry.limits.answer_seconds is not None:
            deadline = max(deadline, self._clock.now() + timedelta(seconds=entry.limits.answer_seconds))
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, leg.transaction_id)
            if held is not None and not held[1].state.final:
                await self._searches.change_leg(
                    tx, leg.transaction_id, state=LegState.PENDING.value, task_id=task_id, deadline_at=deadline
                )
        return leg.model_copy(update={"deadline_at": deadline})

    async def _has_ended(self, leg: Leg) -> bool:
        async with self._work.begin() as tx:
            state = await self._searches.state_of(tx, leg.transaction_id)
        return state is None or state.final

    def _order(self, search: Search, leg: Leg) -> OrderTerms:
        partner = self._registry.find(leg.partner)
        if partner is None:
            raise KeyError(leg.partner)
        return OrderTerms(
            transaction_id=leg.transaction_id,
            gallery=partner.entry.gallery,
            max_candidates=search.terms.max_candidates,
            purpose=search.terms.purpose,
            asked_on=search.requested_at.astimezone(UTC).date(),
        )

    def _seconds_left(self, leg: Leg) -> float:
        return (leg.deadline_at - self._clock.now()).total_seconds()


def _still_agreed(entry: PartnerEntry, search: Search, now: datetime) -> bool:
    agreement = entry.agreement
    return (
        entry.approved
        and agreement_state(agreement, now.date()) is AgreementState.IN_FORCE
        and search.terms.purpose in agreement.purposes
        and search.terms.probe.kind.value in entry.probe_kinds
    )
