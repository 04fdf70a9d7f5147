"""Rows of partners' lines: read and changed under their locks only, so that all workers together keep one limit.

A line is locked before any leg that is not yet held; legs that others hold are then skipped, never waited for.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from broker.kernel.ids import PartnerId
from broker.partners.circuit import Circuit, CircuitState
from broker.partners.line import Line
from broker.partners.rate import Rate
from broker.partners.retry_budget import RetryBudget
from broker.search.tables import LegRow, LineRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_LINES: Final = table(LineRow)
_LEGS: Final = table(LegRow)


class LineRepository:
    """Reads and writes in the caller's transaction."""

    async def hold(self, tx: Transaction, partners: Sequence[PartnerId]) -> Mapping[PartnerId, Line]:
        """The lines of these partners FOR UPDATE, in the order of their names; a partner's first call makes its own."""
        wanted = sorted(set(partners))
        held = await self._held(tx, wanted)
        missing = [one for one in wanted if one not in held]
        if missing:
            now = await tx.clock()
            rows = [_columns(Line.fresh(one, now)) for one in missing]
            await tx.execute(insert(_LINES).values(rows).on_conflict_do_nothing())
            held = await self._held(tx, wanted)
        return held

    async def hold_one(self, tx: Transaction, partner: PartnerId) -> tuple[Line, datetime]:
        """One line FOR UPDATE with what has been earned since, and the time after its lock."""
        line = (await self.hold(tx, [partner]))[partner]
        now = await tx.clock()
        sent = select(func.count()).where(
            _LEGS.c.partner == partner, _LEGS.c.sent_at > line.counted_until, _LEGS.c.sent_at <= now
        )
        return line.earned((await tx.execute(sent)).scalar_one(), now), now

    async def write(self, tx: Transaction, line: Line) -> None:
        """Write a line that is held."""
        values = _columns(line)
        await tx.execute(update(_LINES).where(_LINES.c.partner == values.pop("partner")).values(**values))

    async def answered(self, tx: Transaction, partner: PartnerId) -> None:
        """A call was sound: failures are counted in a row. Touches no row while there are none."""
        closed = (_LINES.c.circuit == CircuitState.CLOSED.value) & (_LINES.c.failures > 0)
        await tx.execute(update(_LINES).where(_LINES.c.partner == partner, closed).values(failures=0))

    async def read(self, tx: Transaction) -> Mapping[PartnerId, Line]:
        """Every line as it stands, without a lock."""
        rows = await tx.execute(select(_LINES))
        return {PartnerId(row.partner): _line(row) for row in rows}

    async def _held(self, tx: Transaction, partners: Sequence[PartnerId]) -> dict[PartnerId, Line]:
        statement = select(_LINES).where(_LINES.c.partner.in_(partners)).order_by(_LINES.c.partner).with_for_update()
        return {PartnerId(row.partner): _line(row) for row in await tx.execute(statement)}


def _line(row: Any) -> Line:
    return Line(
        partner=PartnerId(row.partner),
        circuit=Circuit(CircuitState(row.circuit), row.failures, row.openings, row.until),
        budget=RetryBudget(row.retries_left, row.retried_at),
        rate=Rate(row.tokens, row.tokens_at),
        counted_until=row.counted_until,
    )


def _columns(line: Line) -> dict[str, Any]:
    return {
        "partner": line.partner,
        "circuit": line.circuit.state.value,
        "failures": line.circuit.failures,
        "openings": line.circuit.openings,
        "until": line.circuit.until,
        "retries_left": line.budget.left,
        "retried_at": line.budget.drawn_at,
        "counted_until": line.counted_until,
        "tokens": line.rate.tokens,
        "tokens_at": line.rate.at,
    }
