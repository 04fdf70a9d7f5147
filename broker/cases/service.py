"""Opening, closing and reading cases. A component sees its own and no others."""

from typing import Any

from sqlalchemy import insert, select, update

from broker.audit.events import Actor, CaseClosed, CaseOpened
from broker.audit.recorder import record
from broker.cases.model import Case, CaseStatus
from broker.cases.tables import CaseRow
from broker.kernel.clock import Clock
from broker.kernel.errors import Conflict, NotFound
from broker.kernel.ids import AgencyId, CaseId, new_id
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction, UnitOfWork

_CASES = table(CaseRow)


class CaseService:
    """The use cases of the register of matters."""

    def __init__(self, work: UnitOfWork, clock: Clock) -> None:
        self._work = work
        self._clock = clock

    async def open(self, actor: Actor, reference: str, title: str) -> Case:
        """Register a matter of the actor's component."""
        case = Case(
            id=CaseId(new_id("cas")),
            agency=AgencyId(actor.agency),
            reference=reference,
            title=title,
            status=CaseStatus.OPEN,
            opened_at=self._clock.now(),
            closed_at=None,
        )
        async with self._work.begin() as tx:
            await tx.execute(
                insert(_CASES).values(**case.model_dump(mode="python"), opened_by=actor.sub, closed_by=None)
            )
            await record(tx, CaseOpened(actor=actor, case_id=case.id))
        return case

    async def close(self, actor: Actor, case_id: str) -> Case:
        """Close an open matter. Closing twice is a conflict, so that nobody believes it was their call."""
        async with self._work.begin() as tx:
            case = await find(tx, AgencyId(actor.agency), case_id, lock=True)
            if case is None:
                raise NotFound
            if case.status is CaseStatus.CLOSED:
                raise Conflict("the case is closed already")
            now = self._clock.now()
            await tx.execute(
                update(_CASES)
                .where(_CASES.c.id == case_id)
                .values(status=CaseStatus.CLOSED.value, closed_at=now, closed_by=actor.sub)
            )
            await record(tx, CaseClosed(actor=actor, case_id=case.id))
        return case.model_copy(update={"status": CaseStatus.CLOSED, "closed_at": now})

    async def read(self, actor: Actor, case_id: str) -> Case:
        """One matter of the actor's component."""
        async with self._work.begin() as tx:
            case = await find(tx, AgencyId(actor.agency), case_id)
        if case is None:
            raise NotFound
        return case

    async def page(self, actor: Actor, after: str | None, limit: int) -> tuple[Case, ...]:
        """Matters of the actor's component in the order of their ids, from the one after *after*."""
        async with self._work.begin() as tx:
            rows = await tx.execute(
                select(_CASES)
                .where(_CASES.c.agency == actor.agency, _CASES.c.id > (after or ""))
                .order_by(_CASES.c.id)
                .limit(limit)
            )
            return tuple(_case(row) for row in rows)


async def find(tx: Transaction, agency: AgencyId, case_id: str, *, lock: bool = False) -> Case | None:
    """The case if it is that agency's, else None. With *lock* it cannot be closed before this commits."""
    statement = select(_CASES).where(_CASES.c.id == case_id, _CASES.c.agency == agency)
    row = (await tx.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return None if row is None else _case(row)


def _case(row: Any) -> Case:
    return Case(
        id=row.id,
        agency=row.agency,
        reference=row.reference,
        title=row.title,
        status=CaseStatus(row.status),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )
