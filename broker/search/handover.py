"""What a contract leaves behind at its end, and the record that it was handed over.

Items of a partner that verifies are kept until its contract ends and are then handed over. When that is stands in the
policy in force, which no host's folder is; of a partner that has left the register, in the last policy that named it.
Nothing here deletes anything or opens anything: what is listed are ids, and contents stay sealed under their keys.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from broker.audit.events import Actor, HandedOver
from broker.audit.recorder import record
from broker.kernel.clock import Clock
from broker.kernel.errors import Conflict, NotFound
from broker.kernel.ids import HandOverId, ItemId, new_id
from broker.participants.repository import ever_enrolled
from broker.participants.tables import HandedOverRow, HandOverRow, ParticipantRow
from broker.policy.past import last_entry_of
from broker.search.tables import LegRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction, UnitOfWork

_LEGS = table(LegRow)
_PARTICIPANTS = table(ParticipantRow)
_HAND_OVERS = table(HandOverRow)
_HANDED_OVER = table(HandedOverRow)


@dataclass(frozen=True, slots=True)
class Due:
    """What of one partner has not been handed over yet, and whether its contract has ended."""

    partner: str
    agreement: str
    contract_until: date
    contract_ended: bool
    items: tuple[ItemId, ...]
    participants: int


class HandOvers:
    """Lists and records hand-overs."""

    def __init__(self, work: UnitOfWork, clock: Clock) -> None:
        self._work = work
        self._clock = clock

    async def due(self, partner: str) -> Due:
        """What there is to hand over. Raises NotFound for what is no partner that verifies, and never was."""
        async with self._work.begin() as tx:
            return await self._due(tx, partner, self._clock.now())

    async def record(self, actor: Actor, partner: str, received_by: str, receipt: str) -> Due:
        """Record that all that was due was handed over, on a receipt. Before the contract's end it is a conflict."""
        async with self._work.begin() as tx:
            now = self._clock.now()
            due = await self._due(tx, partner, now)
            if not due.contract_ended:
                raise Conflict(f"the contract runs until {due.contract_until}; nothing is handed over before")
            if not due.items:
                raise Conflict("nothing is left to hand over")
            made = HandOverId(new_id("hov"))
            await tx.execute(
                insert(_HAND_OVERS).values(
                    id=made,
                    partner=due.partner,
                    agreement=due.agreement,
                    at=now,
                    recorded_by=actor.sub,
                    received_by=received_by,
                    receipt=receipt,
                    items=len(due.items),
                    participants=due.participants,
                )
            )
            rows = [{"item_id": one, "hand_over_id": made} for one in due.items]
            # Of two who record at once the second waits here for the first, and finds nothing of this left.
            await tx.execute(insert(_HANDED_OVER).on_conflict_do_nothing(), rows)
            added = select(func.count()).select_from(_HANDED_OVER).where(_HANDED_OVER.c.hand_over_id == made)
            if (await tx.execute(added)).scalar_one() < len(due.items):
                raise Conflict("somebody has just recorded a hand-over of these; list again what is left")
            await record(
                tx,
                HandedOver(
                    actor=actor,
                    hand_over_id=made,
                    partner=due.partner,
                    agreement=due.agreement,
                    received_by=received_by,
                    receipt=receipt,
                    items=len(due.items),
                    participants=due.participants,
                ),
            )
        return due

    async def _due(self, tx: Transaction, partner: str, now: datetime) -> Due:
        entry = await last_entry_of(tx, partner)
        if entry is None or (entry.participation is None and not await ever_enrolled(tx, [entry.id])):
            raise NotFound
        kept = (
            select(_LEGS.c.item_id)
            .where(
                _LEGS.c.partner == entry.id,
                _LEGS.c.item_id.is_not(None),
                _LEGS.c.item_id.not_in(select(_HANDED_OVER.c.item_id)),
            )
            .order_by(_LEGS.c.item_id)
        )
        enrolled = select(func.count()).select_from(_PARTICIPANTS).where(_PARTICIPANTS.c.partner == entry.id)
        return Due(
            partner=entry.id,
            agreement=entry.agreement.number,
            contract_until=entry.agreement.valid_until,
            contract_ended=now.date() > entry.agreement.valid_until,
            items=tuple(ItemId(one) for one in (await tx.execute(kept)).scalars()),
            participants=(await tx.execute(enrolled)).scalar_one(),
        )
