"""Running accepted searches: every open leg at once, each ended by itself.

The legs themselves are the promise (`broker.search.leases`); the job of a search is no more than a call to look at
once. So a leg that waits costs no worker, and what a worker that died was looking after is taken over.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from broker.kernel.ids import PartnerId, SearchId, TransactionId
from broker.search import leases
from broker.search.admission import Admitted
from broker.search.asking import WORKER, LegAsking
from broker.search.repository import SearchRepository
from broker.search.settling import Settling
from broker.storage.unit_of_work import UnitOfWork

_LOOK_SECONDS: Final = 0.1
_IDLE_SECONDS: Final = 0.5
"""Between looks while no leg is open anywhere; what is accepted meanwhile is begun at once by its job."""
_RENEW_SECONDS: Final = 1.0
_LEFT_BEHIND_SECONDS: Final = 10.0
_DRAIN_SECONDS: Final = 5.0
_SWEPT_AT_ONCE: Final = 64
_AFTER_TROUBLE: Final = timedelta(seconds=1)
_log = structlog.get_logger(__name__)


class SearchRun:
    """Looks after legs that are due, for as long as it serves."""

    def __init__(self, work: UnitOfWork, searches: SearchRepository, settling: Settling, asking: LegAsking) -> None:
        self._work = work
        self._searches = searches
        self._settling = settling
        self._asking = asking
        self._tasks: dict[TransactionId, asyncio.Task[None]] = {}
        self._held: Counter[PartnerId] = Counter()
        """How many of them are of which partner."""

    async def run(self, search_id: str) -> None:
        """Begin with a search that was accepted just now. Returns when its legs are on their way."""
        self._begin(await self._asking.admission.admit(self._held, SearchId(search_id)))

    async def serve(self) -> None:
        """Look for legs that are due or overdue until cancelled; then those on their way get a few seconds."""
        renewed = cleared = 0.0
        loop = asyncio.get_running_loop()
        try:
            while True:
                pause = _AFTER_TROUBLE.total_seconds()
                try:
                    busy = await self.look()
                    if loop.time() - renewed >= _RENEW_SECONDS:
                        renewed = loop.time()
                        await self.renew()
                    if busy and loop.time() - cleared >= _LEFT_BEHIND_SECONDS:
                        cleared = loop.time()
                        await self._asking.refuse_left_behind()
                    pause = _LOOK_SECONDS if busy else _IDLE_SECONDS
                except Exception:  # noqa: BLE001 - whatever it was, the next look must come
                    _log.exception("legs_not_looked_after")
                await asyncio.sleep(pause)
        finally:
            await self.drain(_DRAIN_SECONDS)

    async def look(self) -> bool:
        """Take what is due, and end what is overdue; whether there is any open leg at all."""
        if not self._tasks:
            async with self._work.begin() as tx:
                if not await self._searches.any_open(tx):
                    return False
        await self.sweep()
        self._begin(await self._asking.admission.admit(self._held))
        return True

    async def renew(self) -> None:
        """Say which legs are still looked after here. What somebody has ended is not asked any longer."""
        if not self._tasks:
            return
        async with self._work.begin() as tx:
            ended = await leases.renew(tx, list(self._tasks))
        for leg in ended:
            if leg in self._tasks:
                self._tasks[leg].cancel()

    async def sweep(self) -> int:
        """End legs whose deadline has passed although nobody is looking after them; how many there were."""
        async with self._work.begin() as tx:
            overdue = await self._searches.overdue(tx, await tx.clock(), _SWEPT_AT_ONCE)
        left = [leg for leg in overdue if leg not in self._tasks]
        for transaction_id in left:
            await self._settling.expire(WORKER, transaction_id)
        return len(left)

    async def drain(self, seconds: float) -> None:
        """Let what is on its way finish, for a while; another worker takes over the rest."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=seconds)
        left = dict(self._tasks)
        for task in left.values():
            task.cancel()
        await asyncio.gather(*left.values(), return_exceptions=True)
        with suppress(Exception):  # Without the database they are taken over all the same, a few seconds later.
            await self._let_go(left)

    def _begin(self, admitted: Iterable[Admitted]) -> None:
        for one in admitted:
            leg = one.lease.transaction_id
            if leg in self._tasks:
                continue  # We were too slow to say that we have it, and took it over from ourselves.
            self._tasks[leg] = task = asyncio.create_task(self._look_after(one))
            self._held[one.lease.partner] += 1
            task.add_done_callback(partial(self._forget, one.lease))

    def _forget(self, lease: leases.Lease, _task: "asyncio.Task[None]") -> None:
        del self._tasks[lease.transaction_id]
        self._held[lease.partner] -= 1

    async def _look_after(self, admitted: Admitted) -> None:
        try:
            await self._asking.look_after(admitted)
        except Exception:  # noqa: BLE001 - our own side's trouble: the leg is tried again, and has its deadline
            _log.exception("leg_not_looked_after", partner=admitted.lease.partner)
            with suppress(Exception):
                await self._let_go([admitted.lease.transaction_id])

    async def _let_go(self, legs: Iterable[TransactionId]) -> None:
        async with self._work.begin() as tx:
            for leg in sorted(legs):
                await leases.let_go(tx, leg, _AFTER_TROUBLE)
