"""Rows of reviews."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, text

from broker.kernel.ids import ItemId, ReviewId
from broker.products.review_outcome import Disposition, ReviewState, Word
from broker.products.tables import DispositionRow, ResolutionRow, ReviewRow, ReviewStateRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_REVIEWS = table(ReviewRow)
_DISPOSITIONS = table(DispositionRow)
_STATES = table(ReviewStateRow)
_RESOLUTIONS = table(ResolutionRow)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:item, 7))")


@dataclass(frozen=True, slots=True)
class Record:
    """All that is on record of one list's review."""

    words: tuple[Word, ...]
    pair: tuple[str, ...]
    """The first two who had been through the whole list; empty before that."""
    disputed: tuple[str, ...]
    resolver: str | None

    @property
    def state(self) -> ReviewState:
        """How far it is."""
        if not self.pair:
            return ReviewState.OPEN
        if not self.disputed:
            return ReviewState.COMPLETE
        return ReviewState.DISPUTED if self.resolver is None else ReviewState.RESOLVED


async def lock(tx: Transaction, item: ItemId) -> None:
    """Whoever reviews this list now waits for the one before."""
    await tx.execute(_LOCK, {"item": item})


async def spoken(tx: Transaction, item: ItemId, reviewer: str, candidates: Collection[str]) -> bool:
    """Whether the reviewer has given one of these candidates a disposition already."""
    statement = (
        select(func.count())
        .select_from(_DISPOSITIONS)
        .where(
            _DISPOSITIONS.c.item_id == item,
            _DISPOSITIONS.c.reviewer == reviewer,
            _DISPOSITIONS.c.candidate.in_(candidates),
        )
    )
    return bool((await tx.execute(statement)).scalar_one())


async def add(tx: Transaction, review: ReviewId, item: ItemId, component: str, words: Sequence[Word]) -> None:
    """Write one reviewer's session; *words* are all theirs."""
    reviewer, at = words[0].reviewer, words[0].at
    await tx.execute(insert(_REVIEWS).values(id=review, item_id=item, reviewer=reviewer, component=component, at=at))
    rows = [{"item_id": item, "review_id": review, **word.model_dump(mode="json", exclude={"at"})} for word in words]
    await tx.execute(insert(_DISPOSITIONS), rows)


async def read(tx: Transaction, item: ItemId) -> Record:
    """What is on record."""
    statement = (
        select(_DISPOSITIONS, _REVIEWS.c.at)
        .join(_REVIEWS, _REVIEWS.c.id == _DISPOSITIONS.c.review_id)
        .where(_DISPOSITIONS.c.item_id == item)
        .order_by(_REVIEWS.c.at, _DISPOSITIONS.c.reviewer)
    )
    words = tuple(
        Word(
            reviewer=row.reviewer,
            candidate=row.candidate,
            disposition=Disposition(row.disposition),
            note=row.note,
            at=row.at,
        )
        for row in await tx.execute(statement)
    )
    state = (await tx.execute(select(_STATES).where(_STATES.c.item_id == item))).one_or_none()
    resolver = select(_RESOLUTIONS.c.reviewer).where(_RESOLUTIONS.c.item_id == item)
    return Record(
        words=words,
        pair=() if state is None else tuple(state.reviewers),
        disputed=() if state is None else tuple(state.disputed),
        resolver=(await tx.execute(resolver)).scalar_one_or_none(),
    )


async def complete(tx: Transaction, item: ItemId, pair: Sequence[str], disputed: Sequence[str]) -> None:
    """Note that two have been through the list, and where they differ."""
    await tx.execute(
        insert(_STATES).values(
            item_id=item,
            completed_at=await tx.clock(),
            disagreements=len(disputed),
            reviewers=list(pair),
            disputed=list(disputed),
        )
    )


async def resolve(tx: Transaction, item: ItemId, review: ReviewId, reviewer: str) -> None:
    """Note that a third has spoken of every disputed candidate."""
    await tx.execute(
        insert(_RESOLUTIONS).values(item_id=item, review_id=review, reviewer=reviewer, resolved_at=await tx.clock())
    )
