"""Which legs may be asked about now: those that are due, as many as each partner's line has room for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.kernel.ids import PartnerId, SearchId
from broker.kernel.wire import Health
from broker.partners.circuit import Admission, CircuitState
from broker.partners.registry import Registry
from broker.search import leases
from broker.search.leases import Lease
from broker.search.lines import LineRepository
from broker.search.settling import CIRCUIT_OPEN
from broker.storage.unit_of_work import UnitOfWork

_EACH: Final = 64
"""Legs of one partner that one worker process looks after at a time; more stay due, for it or for another one. There is
no bound on all of them together: one slow partner would hold all places.
"""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A leg that this worker looks after, and whether its call is the one that tries a circuit."""

    lease: Lease
    admission: Admission

    @property
    def trial(self) -> bool:
        """Whether it is."""
        return self.admission is Admission.TRIAL


class LegAdmission:
    """Lets legs go out, and hears of what their calls said of the partner. Shared by all workers through the lines."""

    def __init__(self, work: UnitOfWork, lines: LineRepository, registry: Registry) -> None:
        self._work = work
        self._lines = lines
        self._registry = registry

    async def admit(self, held: Mapping[PartnerId, int], search: SearchId | None = None) -> tuple[Admitted, ...]:
        """Take legs, of one search or of any, beside those of each partner that the worker has. The rest stays due."""
        partners = [entry.id for entry in self._registry.entries() if held.get(entry.id, 0) < _EACH]
        async with self._work.begin() as tx:
            due = await leases.due_partners(tx, partners, search)
            if not due:
                return ()
            # 1. The lines are locked, so that no other worker counts or takes legs of these partners meanwhile.
            lines = await self._lines.hold(tx, due)
            now = await tx.clock()
            busy = await leases.in_flight(tx, due, now)
            found: list[Admitted] = []
            shut: list[PartnerId] = []
            for partner, line in lines.items():
                # 2. Each line says how many calls may go out.
                known = self._registry.find(partner)
                if known is None:
                    continue
                limits = known.entry.limits
                room = _EACH - held.get(partner, 0)
                open_line, calls, admission = line.admit(limits, busy.get(partner, 0), room, now)
                if admission is Admission.SHUT:
                    shut.append(partner)
                if calls <= 0:
                    continue
                # 3. So many legs are taken; a trial that nobody waits for is none.
                taken = await leases.take(tx, partner, calls, now, search)
                if taken:
                    drawn, _ = open_line.drawn(limits, len(taken), now)
                    if drawn != line:
                        await self._lines.write(tx, drawn)
                    found += [Admitted(lease, admission) for lease in taken]
            if shut:
                await leases.say_why(tx, shut, search, CIRCUIT_OPEN)
        return tuple(found)

    async def report(self, partner: PartnerId, health: Health | None, admission: Admission) -> None:
        """Hear what the last call of a leg said of its partner."""
        async with self._work.begin() as tx:
            if health is Health.SOUND and admission is Admission.CALL:
                await self._lines.answered(tx, partner)
            elif health is Health.FAULTY or admission is Admission.TRIAL:
                line, now = await self._lines.hold_one(tx, partner)
                line = line.reported(health, admission, now)
                await self._lines.write(tx, line)
                if admission is Admission.TRIAL and line.circuit.state is CircuitState.CLOSED:
                    await leases.forget_why(tx, partner, CIRCUIT_OPEN)

    async def may_repeat(self, partner: PartnerId, health: Health, admission: Admission) -> bool:
        """Whether the partner's budget lets one more call be repeated; the one before is reported on the way."""
        async with self._work.begin() as tx:
            line, now = await self._lines.hold_one(tx, partner)
            line, granted = line.reported(health, admission, now).ask_to_repeat(now)
            await self._lines.write(tx, line)
        return granted

    async def may_return(self, partner: PartnerId) -> tuple[bool, timedelta]:
        """Whether a failed trial's leg may be tried once more, and when."""
        async with self._work.begin() as tx:
            line, now = await self._lines.hold_one(tx, partner)
            line, granted = line.ask_to_return(now)
            await self._lines.write(tx, line)
        until = line.circuit.until
        return granted, timedelta() if until is None else max(timedelta(), until - now)

    async def turn(self, partner: PartnerId) -> timedelta:
        """How long one further call of a leg has to wait for its turn under the partner's rate."""
        known = self._registry.find(partner)
        if known is None or known.entry.limits.per_second is None:
            return timedelta()
        async with self._work.begin() as tx:
            line, now = await self._lines.hold_one(tx, partner)
            line, wait = line.drawn(known.entry.limits, 1, now)
            await self._lines.write(tx, line)
        return wait
