"""News of searches for those who wait for it: one look for everybody, however many wait.

The look runs only while somebody waits. What it finds changed is read anew by whoever waits, with their own rights.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from broker.audit.events import Actor
from broker.search.model import Search
from broker.storage.unit_of_work import UnitOfWork

MOST_OPEN: Final = 50
"""Answers that one caller may keep open in one process; each holds a connection, of which there are only so many."""
_LOOK_SECONDS: Final = 0.1
_MARKS: Final = """
SELECT search_id, string_agg(partner || ' ' || state || ' ' || coalesce(reason, ''), E'\\n' ORDER BY partner COLLATE "C")
  AS mark FROM search_leg WHERE search_id = ANY(%(searches)s) GROUP BY search_id
"""
_log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Waiter:
    mark: str
    told: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SearchWatch:
    """One for all who wait in a process."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._waiters: dict[str, set[_Waiter]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._open: Counter[tuple[str, str]] = Counter()
        self.closed = False

    def close(self) -> None:
        """The process is about to end: nobody waits any longer, and nobody begins to."""
        self.closed = True
        for waiter in [one for waiters in self._waiters.values() for one in waiters]:
            if not waiter.told.done():
                waiter.told.set_result(None)

    def room(self, actor: Actor) -> bool:
        """Whether the caller may keep one more answer open here."""
        return self._open[actor.agency, actor.sub] < MOST_OPEN

    @contextmanager
    def seat(self, actor: Actor) -> Iterator[bool]:
        """Keep an answer open; False, and nothing is kept, where the caller has as many as one may have."""
        who, granted = (actor.agency, actor.sub), self.room(actor)
        self._open[who] += granted
        try:
            yield granted
        finally:
            self._open[who] -= granted
            if not self._open[who]:
                del self._open[who]

    async def news(self, search: Search, seconds: float) -> bool:
        """Wait until the search stands otherwise than as given, at most so long; whether it does."""
        if self.closed:
            return False
        waiter = _Waiter(_mark(search))
        self._waiters.setdefault(search.id, set()).add(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await waiter.told
        except TimeoutError:
            return False
        finally:
            self._waiters[search.id].discard(waiter)
            if not self._waiters[search.id]:
                del self._waiters[search.id]
        return True

    async def _look(self) -> None:
        while self._waiters:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._tell()
            except Exception:  # noqa: BLE001 - whatever it was, those who wait are told at the next look
                _log.exception("searches_not_watched")

    async def _tell(self) -> None:
        async with self._work.begin() as tx:
            rows = await tx.rows(_MARKS, {"searches": list(self._waiters)})
        for row in rows:
            for waiter in self._waiters.get(row.search_id, ()):
                if waiter.mark != row.mark and not waiter.told.done():
                    waiter.told.set_result(None)


def _mark(search: Search) -> str:
    legs = sorted(search.legs, key=lambda leg: leg.partner)
    return "\n".join(f"{leg.partner} {leg.state.value} {leg.reason or ''}" for leg in legs)
