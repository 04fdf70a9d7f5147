"""Rows of searches and legs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update

from broker.audit.events import Actor
from broker.kernel.ids import SearchId, TransactionId
from broker.kernel.words import LegState
from broker.participants.tables import ParticipantRow
from broker.policy.search_question import SearchRefusal
from broker.search.model import Leg, Search, SearchTerms
from broker.search.probe import DrawnProbe
from broker.search.tables import LegRow, ProbeRow, QuarantineRow, SearchRow
from broker.storage.columns import table
from broker.storage.sealing import Sealed, Sealer
from broker.storage.unit_of_work import Transaction
from broker.tracing import current

_SEARCHES = table(SearchRow)
_LEGS = table(LegRow)
_PARTICIPANTS = table(ParticipantRow)
_PROBES = table(ProbeRow)
_QUARANTINE = table(QuarantineRow)
_OPEN = tuple(state.value for state in LegState if not state.final)
# Written out, so that the planner sees that the partial index serves.
_ANY_OPEN: Final = "SELECT EXISTS (SELECT FROM search_leg WHERE state IN ('queued', 'sent', 'pending'))"


class SearchRepository:
    """Reads and writes in the caller's transaction. Probes are sealed here and opened here."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def add(
        self, tx: Transaction, search: Search, probe: DrawnProbe, *, civil: bool, training_valid: bool
    ) -> None:
        """Write a search with its legs and its probe."""
        terms = search.terms
        await tx.execute(
            insert(_SEARCHES).values(
                id=search.id,
                component=search.component,
                case_id=terms.case_id,
                requested_by=search.requested_by,
                requested_at=search.requested_at,
                deadline_at=search.deadline_at,
                purpose=terms.purpose,
                predicate=terms.predicate.value,
                evidentiary_basis=terms.evidentiary_basis.value,
                civil_enforcement_only=civil,
                exigent=terms.exigent,
                training_valid=training_valid,
                terms=terms.model_dump(mode="json"),
                traceparent=current(),
            )
        )
        await tx.execute(
            insert(_LEGS).values(due_at=func.clock_timestamp()),
            [
                {
                    **leg.model_dump(mode="python"),
                    "refusals": refusals_document(leg.refusals),
                    "state": leg.state.value,
                    "search_id": search.id,
                    "requested_at": search.requested_at,
                    "ended_at": search.requested_at if leg.state.final else None,
                }
                for leg in search.legs
            ],
        )
        sealed = self._sealer.seal(probe.jpeg, search.id)
        await tx.execute(
            insert(_PROBES).values(
                search_id=search.id,
                kind=terms.probe.kind.value,
                submitted_sha256=probe.submitted_sha256,
                sent_sha256=probe.sent_sha256,
                width=probe.width,
                height=probe.height,
                wrapped_key=sealed.wrapped_key,
                ciphertext=sealed.ciphertext,
            )
        )

    async def read(self, tx: Transaction, search_id: str, reader: Actor | None = None) -> Search | None:
        """A search, if the reader may know of it where one is given."""
        statement = select(_SEARCHES).where(_SEARCHES.c.id == search_id)
        if reader is not None:
            statement = statement.where(_known_to(reader))
        row = (await tx.execute(statement)).one_or_none()
        return None if row is None else (await self._with_legs(tx, [row]))[0]

    async def page(self, tx: Transaction, reader: Actor, after: str, limit: int) -> tuple[Search, ...]:
        """Searches that the reader may know of, in the order of their ids."""
        rows = await tx.execute(
            select(_SEARCHES).where(_known_to(reader), _SEARCHES.c.id > after).order_by(_SEARCHES.c.id).limit(limit)
        )
        return tuple(await self._with_legs(tx, rows.all()))

    async def probe(self, tx: Transaction, search_id: SearchId) -> bytes:
        """The JPEG to be sent."""
        row = (await tx.execute(select(_PROBES).where(_PROBES.c.search_id == search_id))).one()
        return self._sealer.open(Sealed(bytes(row.wrapped_key), bytes(row.ciphertext)), search_id)

    async def hold_leg(self, tx: Transaction, transaction_id: str) -> tuple[SearchId, Leg] | None:
        """A leg FOR UPDATE, with the search it belongs to: its state changes under this lock only."""
        statement = select(_LEGS).where(_LEGS.c.transaction_id == transaction_id).with_for_update()
        row = (await tx.execute(statement)).one_or_none()
        return None if row is None else (SearchId(row.search_id), _leg(row))

    async def state_of(self, tx: Transaction, transaction_id: TransactionId) -> LegState | None:
        """Where a leg stands, without a lock."""
        statement = select(_LEGS.c.state).where(_LEGS.c.transaction_id == transaction_id)
        state = (await tx.execute(statement)).scalar_one_or_none()
        return None if state is None else LegState(state)

    async def change_leg(self, tx: Transaction, transaction_id: TransactionId, **values: Any) -> None:
        """Write columns of a leg that is held."""
        await tx.execute(update(_LEGS).where(_LEGS.c.transaction_id == transaction_id).values(**values))

    async def any_open(self, tx: Transaction) -> bool:
        """Whether some leg has not ended yet."""
        return bool((await tx.rows(_ANY_OPEN))[0][0])

    async def overdue(self, tx: Transaction, now: datetime, limit: int) -> tuple[TransactionId, ...]:
        """Open legs whose deadline has passed."""
        rows = await tx.execute(
            select(_LEGS.c.transaction_id)
            .where(_LEGS.c.state.in_(_OPEN), _LEGS.c.deadline_at <= now)
            .order_by(_LEGS.c.transaction_id)
            .limit(limit)
        )
        return tuple(TransactionId(one) for one in rows.scalars())

    async def quarantine(self, tx: Transaction, leg: Leg, at: datetime, claimed_owner: str, answer: bytes) -> None:
        """Keep an answer that nobody may see."""
        sealed = self._sealer.seal(answer, leg.transaction_id)
        await tx.execute(
            insert(_QUARANTINE).values(
                transaction_id=leg.transaction_id,
                partner=leg.partner,
                at=at,
                claimed_owner=claimed_owner,
                wrapped_key=sealed.wrapped_key,
                ciphertext=sealed.ciphertext,
            )
        )

    async def _with_legs(self, tx: Transaction, rows: Sequence[Any]) -> list[Search]:
        found = await tx.execute(
            select(_LEGS).where(_LEGS.c.search_id.in_([row.id for row in rows])).order_by(_LEGS.c.partner)
        )
        legs: dict[str, list[Leg]] = {row.id: [] for row in rows}
        for leg in found:
            legs[leg.search_id].append(_leg(leg))
        return [_search(row, tuple(legs[row.id])) for row in rows]


def refusals_document(refusals: Iterable[SearchRefusal]) -> list[dict[str, Any]]:
    """Refusals as a leg's row holds them."""
    return [refusal.model_dump(mode="json") for refusal in refusals]


def _known_to(reader: Actor) -> ColumnElement[bool]:
    """The searches of the reader's component, less those about a participant who is not for the reader to know.

    With which partner the participant is enrolled stands in the register of participants. What is not found there is shown
    to nobody.
    """
    of_partner = select(_PARTICIPANTS.c.partner).where(_PARTICIPANTS.c.id == _SEARCHES.c.terms["participant"].astext)
    about_nobody = _SEARCHES.c.terms["participant_reference"].astext.is_(None)
    may_know = or_(about_nobody, of_partner.scalar_subquery().in_(reader.enrolled))
    return and_(_SEARCHES.c.component == reader.agency, may_know)


def _search(row: Any, legs: tuple[Leg, ...]) -> Search:
    return Search(
        id=row.id,
        component=row.component,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        deadline_at=row.deadline_at,
        terms=SearchTerms.model_validate(row.terms, strict=False),
        legs=legs,
        traceparent=row.traceparent,
    )


def _leg(row: Any) -> Leg:
    return Leg(
        transaction_id=row.transaction_id,
        partner=row.partner,
        state=LegState(row.state),
        reason=row.reason,
        refusals=tuple(SearchRefusal.model_validate(one, strict=False) for one in row.refusals),
        item_id=row.item_id,
        task_id=row.task_id,
        calls=row.calls,
        polls=row.polls,
        deadline_at=row.deadline_at,
        gallery=row.gallery,
        callback_url=row.callback_url,
    )
