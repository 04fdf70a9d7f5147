"""Rows of participants and of what they accepted."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from broker.kernel.ids import AgencyId, ParticipantId
from broker.participants.model import Acceptance, Participant
from broker.participants.tables import AcceptanceRow, ParticipantRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_PARTICIPANTS = table(ParticipantRow)
_ACCEPTANCES = table(AcceptanceRow)


async def add(tx: Transaction, participant: Participant) -> bool:
    """Write a fresh enrolment; False, and nothing is written, where one under that reference has not ended.

    The index says so and not a look before: of two at the same moment one would be the database's error, whose text
    names the reference.
    """
    values = participant.model_dump(mode="python", exclude={"acceptances"})
    added = insert(_PARTICIPANTS).values(**values).on_conflict_do_nothing().returning(_PARTICIPANTS.c.id)
    return (await tx.execute(added)).first() is not None


async def ever_enrolled(tx: Transaction, partners: Collection[str]) -> bool:
    """Whether anybody was ever enrolled with one of these partners. Enrolments end, and are never deleted."""
    found = await tx.execute(select(_PARTICIPANTS.c.id).where(_PARTICIPANTS.c.partner.in_(sorted(partners))).limit(1))
    return found.first() is not None


async def accept(tx: Transaction, participant: ParticipantId, acceptance: Acceptance) -> None:
    """Write an acceptance."""
    await tx.execute(insert(_ACCEPTANCES).values(participant_id=participant, **acceptance.model_dump(mode="python")))


async def end(tx: Transaction, participant: ParticipantId, by: str, at: datetime, reason: str) -> None:
    """End an enrolment."""
    await tx.execute(
        update(_PARTICIPANTS)
        .where(_PARTICIPANTS.c.id == participant)
        .values(ended_by=by, ended_at=at, end_reason=reason)
    )


async def find(tx: Transaction, agency: AgencyId, participant_id: str, *, lock: bool = False) -> Participant | None:
    """The participant if they are that agency's. With *lock* nothing about them changes before this commits."""
    statement = select(_PARTICIPANTS).where(_PARTICIPANTS.c.id == participant_id, _PARTICIPANTS.c.agency == agency)
    row = (await tx.execute(statement.with_for_update() if lock else statement)).one_or_none()
    if row is None:
        return None
    return _participant(row, await _accepted(tx, [row.id]))


async def page(
    tx: Transaction, agency: AgencyId, partners: Collection[str], after: str, limit: int
) -> tuple[Participant, ...]:
    """The agency's participants with these partners, in the order of their ids."""
    rows = (
        await tx.execute(
            select(_PARTICIPANTS)
            .where(
                _PARTICIPANTS.c.agency == agency,
                _PARTICIPANTS.c.partner.in_(sorted(partners)),
                _PARTICIPANTS.c.id > after,
            )
            .order_by(_PARTICIPANTS.c.id)
            .limit(limit)
        )
    ).all()
    accepted = await _accepted(tx, [row.id for row in rows])
    return tuple(_participant(row, accepted) for row in rows)


async def _accepted(tx: Transaction, ids: list[str]) -> dict[str, list[Acceptance]]:
    rows = await tx.execute(
        select(_ACCEPTANCES)
        .where(_ACCEPTANCES.c.participant_id.in_(ids))
        .order_by(_ACCEPTANCES.c.recorded_at, _ACCEPTANCES.c.terms_version)
    )
    found: dict[str, list[Acceptance]] = {}
    for row in rows:
        found.setdefault(row.participant_id, []).append(
            Acceptance(
                terms_version=row.terms_version,
                accepted_at=row.accepted_at,
                recorded_by=row.recorded_by,
                recorded_at=row.recorded_at,
            )
        )
    return found


def _participant(row: Any, accepted: dict[str, list[Acceptance]]) -> Participant:
    return Participant(**row._mapping, acceptances=tuple(accepted.get(row.id, ())))  # noqa: SLF001 - a Row's public view
