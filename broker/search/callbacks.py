"""A partner's late answer: whose leg it belongs to, and what it says. The signature is verified before this."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import structlog

from broker.audit.events import CallbackRefused, service_actor
from broker.audit.recorder import record
from broker.kernel.clock import Clock
from broker.kernel.ids import PartnerId, SearchId, is_opaque_id
from broker.kernel.words import LegState
from broker.partners.contract import Answered, NoHit, RedeliveryAsked, StillPending, Submitted
from broker.partners.dispatch import Dispatcher
from broker.partners.rate import Rate, RateLimit
from broker.partners.registry import Registry
from broker.search.errand import terms_of
from broker.search.model import Leg
from broker.search.repository import SearchRepository
from broker.search.settling import Settling
from broker.storage.unit_of_work import Transaction, UnitOfWork

CALLBACK: Final = service_actor("callback")
ON_RECORD: Final = RateLimit(per_second=1.0, burst=100)
"""Refused callbacks of one partner's name that are put on record by one process: anybody on the network may send them,
and what is on record stays.
"""
_log = structlog.get_logger(__name__)


class Taken(StrEnum):
    """What became of a callback. `not_yet`: the task is not on record yet, so the partner should try again."""

    TAKEN = "taken"
    NO_NEWS = "no_news"
    UNKNOWN = "unknown"
    NOT_YET = "not_yet"


class Callbacks:
    """Takes answers that partners send by themselves."""

    def __init__(
        self,
        work: UnitOfWork,
        searches: SearchRepository,
        settling: Settling,
        dispatcher: Dispatcher,
        registry: Registry,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._refusals: dict[PartnerId, Rate] = {}
        self._work = work
        self._searches = searches
        self._settling = settling
        self._dispatcher = dispatcher
        self._registry = registry

    async def take(self, partner_id: PartnerId, query: Mapping[str, str], body: bytes) -> Taken:
        """Take an answer to the leg that the query names. Repeated ones change nothing.

        One that comes after the leg's deadline is what the partner found, and is kept; after a cancellation it is not.
        """
        partner = self._registry.find(partner_id)
        if partner is None:
            return Taken.UNKNOWN
        async with self._work.begin() as tx:
            waiting = await self._waiting(tx, partner_id, query)
            search = await self._searches.read(tx, waiting[0]) if isinstance(waiting, tuple) else None
        if not isinstance(waiting, tuple) or search is None:
            return waiting if isinstance(waiting, Taken) else Taken.UNKNOWN
        leg = waiting[1]
        outcome = self._dispatcher.callback(partner_id, terms_of(search, leg, partner.entry), body, query)
        if isinstance(outcome, Submitted | StillPending | RedeliveryAsked):
            return Taken.NO_NEWS
        late = leg.state.final
        if late and (search.cancelled or not isinstance(outcome, Answered | NoHit)):
            return Taken.NO_NEWS
        await self._settling.settle(CALLBACK, leg.transaction_id, partner.entry, outcome, late=late)
        return Taken.TAKEN

    async def _waiting(
        self, tx: Transaction, partner_id: PartnerId, query: Mapping[str, str]
    ) -> tuple[SearchId, Leg] | Taken:
        """The leg that waits for this answer, or why there is none."""
        named = query.get("transactionId", "")
        # What has not the shape of an id names nothing, and might hold what the database cannot even look for.
        held = await self._searches.hold_leg(tx, named) if is_opaque_id(named) else None
        if held is None or held[1].partner != partner_id:
            await self._record(tx, partner_id, "unknown transaction")
            return Taken.UNKNOWN
        leg = held[1]
        if leg.state.final and (leg.state is not LegState.TIMED_OUT or leg.task_id is None):
            return Taken.NO_NEWS
        if leg.state not in (LegState.PENDING, LegState.TIMED_OUT):
            return Taken.NOT_YET
        if leg.task_id != query.get("taskId"):
            await self._record(tx, partner_id, "foreign task")
            return Taken.UNKNOWN
        return held

    async def refuse(self, partner_id: PartnerId, reason: str) -> None:
        """Record a callback that could not be shown to be the partner's."""
        if self._room(partner_id):
            async with self._work.begin() as tx:
                await record(tx, CallbackRefused(actor=CALLBACK, partner=partner_id, reason=reason))

    async def _record(self, tx: Transaction, partner_id: PartnerId, reason: str) -> None:
        if self._room(partner_id):
            await record(tx, CallbackRefused(actor=CALLBACK, partner=partner_id, reason=reason))

    def _room(self, partner_id: PartnerId) -> bool:
        """Whether one more refusal goes on record. Of a flood only so many do; the log says that there was one."""
        now = self._clock.now()
        left = self._refusals.get(partner_id, Rate(ON_RECORD.burst, now)).at_moment(ON_RECORD, now)
        self._refusals[partner_id] = left.taken(1) if left.room else left
        if left.room == 1:
            _log.warning("callbacks_refused_beyond_record", partner=partner_id)
        return bool(left.room)
