"""How a leg ends: once, under its lock, with its item and its audit row in the same commit."""

from typing import Final

from broker.audit.events import Actor, LegEnded
from broker.audit.recorder import record
from broker.items.writer import ItemWriter
from broker.kernel.ids import ItemId, TransactionId
from broker.kernel.partner import PartnerEntry
from broker.kernel.words import LegState
from broker.partners.claims import foreign_owner
from broker.partners.contract import Answered, Failed, NoHit, Refused, TimedOut
from broker.policy.search_question import SearchRefusal
from broker.search.model import Leg
from broker.search.repository import SearchRepository, refusals_document
from broker.search.tagging import tag
from broker.storage.unit_of_work import Transaction, UnitOfWork

Ending = Answered | NoHit | Refused | Failed | TimedOut
"""Outcomes after which nothing more is expected."""

CIRCUIT_OPEN: Final = "circuit_open"
"""Why a leg waits, or ended unsent: its partner has not been answering anybody."""
AFTER_THE_DEADLINE: Final = "after the deadline"
"""How an answer came that the partner sent by itself when nobody waited for it any more."""
_NO_LONGER: Final = "no_longer_agreed"
_TOO_LATE: Final = "no answer before the deadline"


class Settling:
    """Ends legs. A leg that has ended already is left as it is: late and repeated answers are no news."""

    def __init__(self, work: UnitOfWork, searches: SearchRepository, items: ItemWriter) -> None:
        self._work = work
        self._searches = searches
        self._items = items

    async def settle(
        self, actor: Actor, transaction_id: TransactionId, entry: PartnerEntry, outcome: Ending, *, late: bool = False
    ) -> None:
        """Write what came of a leg; *late*: of one whose deadline has passed, too."""
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, transaction_id)
            if held is None:
                return
            search_id, leg = held
            after_deadline = late and leg.state is LegState.TIMED_OUT
            if leg.state.final and not after_deadline:
                return
            claimed = foreign_owner(entry, outcome)
            if claimed is not None and isinstance(outcome, Answered | NoHit):
                answer = outcome.model_dump_json().encode()
                await self._searches.quarantine(tx, leg, await tx.clock(), claimed, answer)
                await self._end(tx, actor, search_id, leg, LegState.QUARANTINED, "foreign_owner_claimed", None)
                return
            match outcome:
                case Answered() | NoHit():
                    search = await self._searches.read(tx, search_id)
                    if search is None:
                        return
                    item, content = tag(search, leg, entry, outcome, await tx.clock())
                    await self._items.write(tx, item, content)
                    state = LegState.ANSWERED if item.candidates else LegState.NO_HIT
                    reason = AFTER_THE_DEADLINE if after_deadline else None
                    await self._end(tx, actor, search_id, leg, state, reason, item.id)
                case Refused():
                    reason = f"partner_refused: {outcome.code.value}"
                    await self._end(tx, actor, search_id, leg, LegState.REFUSED, reason, None)
                case Failed():
                    await self._end(tx, actor, search_id, leg, LegState.PARTNER_ERROR, outcome.kind.value, None)
                case TimedOut():
                    await self._end(tx, actor, search_id, leg, LegState.TIMED_OUT, _TOO_LATE, None)

    async def expire(self, actor: Actor, transaction_id: TransactionId) -> None:
        """End a leg whose deadline has passed, whether or not its partner is still in the register.

        One that could not go out, because the partner has not been answering, says so instead.
        """
        await self._end_unasked(actor, transaction_id, LegState.TIMED_OUT, _TOO_LATE)

    async def refuse(self, actor: Actor, transaction_id: TransactionId, refusals: tuple[SearchRefusal, ...]) -> None:
        """End a leg that may not be sent, or not sent again; its calls say whether the partner has heard of it."""
        codes = ", ".join(refusal.code.value for refusal in refusals)
        reason = f"{_NO_LONGER}: {codes}"
        await self._end_unasked(actor, transaction_id, LegState.REFUSED, reason, refusals)

    async def _end_unasked(
        self,
        actor: Actor,
        transaction_id: TransactionId,
        state: LegState,
        reason: str,
        refusals: tuple[SearchRefusal, ...] = (),
    ) -> None:
        async with self._work.begin() as tx:
            held = await self._searches.hold_leg(tx, transaction_id)
            if held is None or held[1].state.final:
                return
            if state is LegState.TIMED_OUT and held[1].reason == CIRCUIT_OPEN and not held[1].calls:
                state, reason = LegState.PARTNER_ERROR, CIRCUIT_OPEN
            await self._end(tx, actor, held[0], held[1], state, reason, None, refusals)

    async def _end(
        self,
        tx: Transaction,
        actor: Actor,
        search_id: str,
        leg: Leg,
        state: LegState,
        reason: str | None,
        item: ItemId | None,
        refusals: tuple[SearchRefusal, ...] = (),
    ) -> None:
        await self._searches.change_leg(
            tx,
            leg.transaction_id,
            state=state.value,
            reason=reason,
            refusals=refusals_document(refusals),
            item_id=item,
            ended_at=await tx.clock(),
        )
        await record(
            tx,
            LegEnded(
                actor=actor,
                search_id=search_id,
                partner=leg.partner,
                transaction_id=leg.transaction_id,
                state=state.value,
                reason=reason,
                rules=tuple(str(refusal.rule) for refusal in refusals if refusal.rule),
                item_id=item,
            ),
        )
