"""Reviewing a candidate list (R8): every candidate by two people, neither of them the requester.

Reviewers who disagree leave the candidate inconclusive. A candidate is a lead at most, whatever they say.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from broker.audit.events import Actor, ItemReviewed
from broker.audit.recorder import record
from broker.decision.service import DecisionService, Released
from broker.kernel.errors import BrokerError, Conflict, Forbidden, Invalid, NotFound
from broker.kernel.ids import ItemId, ReviewId, new_id
from broker.kernel.words import ItemKind
from broker.products.tables import DispositionRow, ReviewRow, ReviewStateRow
from broker.storage.attempt import attempt
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction, UnitOfWork

_REVIEWS = table(ReviewRow)
_DISPOSITIONS = table(DispositionRow)
_STATES = table(ReviewStateRow)
_REVIEWERS_NEEDED = 2
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:item, 7))")


class Disposition(StrEnum):
    """What a reviewer makes of one candidate."""

    POSSIBLE = "possible"
    EXCLUDED = "excluded"
    INCONCLUSIVE = "inconclusive"


class Finding(BaseModel):
    """One candidate's disposition by one reviewer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    candidate: str
    disposition: Disposition
    note: str | None = Field(max_length=2000)


class Review(BaseModel):
    """What was recorded, and whether the list now has all it needs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: ReviewId
    item: ItemId
    complete: bool
    reviewers: int
    """Different people who have given every candidate a disposition."""


class ReviewService:
    """Takes reviewers' dispositions."""

    def __init__(self, work: UnitOfWork, door: DecisionService) -> None:
        self._work = work
        self._door = door

    async def record(self, actor: Actor, item_id: str, findings: tuple[Finding, ...]) -> Review:
        """Record one reviewer's dispositions of some or all candidates of a list."""
        async with self._work.begin() as tx:
            released = await self._door.view_within(tx, actor, item_id, "view")
            # What the door answered is on record and has to stay there, so a refusal is raised after this block.
            answer: Review | BrokerError = NotFound()
            if released is not None:
                answer = await attempt(tx, self._record(tx, actor, released, findings))
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def _record(self, tx: Transaction, actor: Actor, seen: Released, findings: tuple[Finding, ...]) -> Review:
        item = seen.item
        if item.kind is not ItemKind.CANDIDATE_LIST:
            raise Conflict("only a candidate list is reviewed; this is made of reviewed lists")
        if item.author == actor.sub:
            raise Forbidden("a reviewer may not be the one who asked for the search")
        candidates = {one["id"] for one in seen.content["candidates"]}
        named = [finding.candidate for finding in findings]
        if not set(named) <= candidates:
            raise Invalid("a candidate is not on this list", "/dispositions")
        if len(set(named)) != len(named):
            raise Invalid("a candidate is named twice", "/dispositions")
        # Two reviews of one list at the same moment must see each other, or neither would complete it.
        await tx.execute(_LOCK, {"item": item.id})
        await self._refuse_second_thoughts(tx, item.id, actor.sub, set(named))
        review_id = ReviewId(new_id("rev"))
        await tx.execute(
            insert(_REVIEWS).values(
                id=review_id, item_id=item.id, reviewer=actor.sub, component=actor.agency, at=await tx.clock()
            )
        )
        await tx.execute(
            insert(_DISPOSITIONS),
            [
                {
                    "item_id": item.id,
                    "candidate": one.candidate,
                    "reviewer": actor.sub,
                    "review_id": review_id,
                    "disposition": one.disposition.value,
                    "note": one.note,
                }
                for one in findings
            ],
        )
        reviewers = await self._complete_reviewers(tx, item.id, len(candidates))
        await record(tx, ItemReviewed(actor=actor, item_id=item.id, review_id=review_id, dispositions=len(findings)))
        return Review(id=review_id, item=item.id, complete=reviewers >= _REVIEWERS_NEEDED, reviewers=reviewers)

    async def _refuse_second_thoughts(self, tx: Transaction, item: ItemId, reviewer: str, named: set[str]) -> None:
        statement = (
            select(func.count())
            .select_from(_DISPOSITIONS)
            .where(
                _DISPOSITIONS.c.item_id == item,
                _DISPOSITIONS.c.reviewer == reviewer,
                _DISPOSITIONS.c.candidate.in_(named),
            )
        )
        if (await tx.execute(statement)).scalar_one():
            raise Conflict("you have given one of these candidates a disposition already, and it stands")

    async def _complete_reviewers(self, tx: Transaction, item: ItemId, candidates: int) -> int:
        """How many people have been through the whole list; notes the moment when two have."""
        rows = (await tx.execute(select(_DISPOSITIONS).where(_DISPOSITIONS.c.item_id == item))).all()
        by_reviewer: dict[str, dict[str, str]] = {}
        for row in rows:
            by_reviewer.setdefault(row.reviewer, {})[row.candidate] = row.disposition
        complete = [found for found in by_reviewer.values() if len(found) == candidates]
        if len(complete) == _REVIEWERS_NEEDED:
            first, second = complete
            disagreements = sum(first[candidate] != second[candidate] for candidate in first)
            await tx.execute(
                insert(_STATES)
                .values(item_id=item, completed_at=await tx.clock(), disagreements=disagreements)
                .on_conflict_do_nothing()
            )
        return len(complete)
