"""Reviewing a candidate list (R8): every candidate by two people, neither of them the requester; a third if they differ.

A candidate is a lead at most, whatever they say. What it all comes to is worked out in ``review_outcome``.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from broker.audit.events import Actor, ItemReviewed, ReviewDisputed, ReviewResolved
from broker.audit.recorder import record
from broker.decision.service import DecisionService, Released
from broker.kernel.errors import BrokerError, Conflict, Forbidden, Invalid, NotFound
from broker.kernel.ids import ItemId, ReviewId, new_id
from broker.kernel.words import ItemKind
from broker.products import review_outcome, review_repository
from broker.products.review_outcome import Disposition, ReviewState, Word
from broker.products.review_repository import Record
from broker.storage.attempt import attempt
from broker.storage.unit_of_work import Transaction, UnitOfWork


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Finding(_Value):
    """One candidate's disposition by one reviewer."""

    candidate: str
    disposition: Disposition
    note: str | None = Field(max_length=2000)


class Progress(_Value):
    """How far the review of a list is."""

    item: ItemId
    state: ReviewState
    reviewers: int
    """Different people who have given every candidate a disposition."""
    disputed: tuple[str, ...]
    """Candidates on which the first two disagreed. They stay named when a third has resolved it."""


class Review(Progress):
    """What was recorded, and how far the list now is."""

    id: ReviewId


class CandidateReview(_Value):
    """What was said of one candidate, as far as the reader may see it, and what that comes to."""

    candidate: str
    outcome: Disposition | None
    words: tuple[Word, ...]


class Reviews(Progress):
    """All that is on record of a list's review, or, while the reader may still say something, only their own part."""

    withheld: bool
    candidates: tuple[CandidateReview, ...]


class ReviewService:
    """Takes reviewers' dispositions, and shows them to whoever can no longer be swayed by them."""

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

    async def read(self, actor: Actor, item_id: str) -> Reviews:
        """The dispositions of a list, for whoever may view it.

        Until the review is settled, what others said is shown to the requester and to those who have said all of
        theirs: whoever may still give a disposition gives it without knowing the others'.
        """
        async with self._work.begin() as tx:
            seen = await self._door.view_within(tx, actor, item_id, "view")
            if seen is not None and seen.item.kind is ItemKind.CANDIDATE_LIST:
                return await self._reviews(tx, actor, seen)
        if seen is None:
            raise NotFound
        raise Conflict("only a candidate list is reviewed; this is made of reviewed lists")

    async def _record(self, tx: Transaction, actor: Actor, seen: Released, findings: tuple[Finding, ...]) -> Review:
        item = seen.item
        if item.kind is not ItemKind.CANDIDATE_LIST:
            raise Conflict("only a candidate list is reviewed; this is made of reviewed lists")
        if item.author == actor.sub:
            raise Forbidden("a reviewer may not be the one who asked for the search")
        candidates = _candidates(seen)
        named = [finding.candidate for finding in findings]
        if not set(named) <= set(candidates):
            raise Invalid("a candidate is not on this list", "/dispositions")
        if len(set(named)) != len(named):
            raise Invalid("a candidate is named twice", "/dispositions")
        # Two reviews of one list at the same moment must see each other, or neither would complete it.
        await review_repository.lock(tx, item.id)
        if await review_repository.spoken(tx, item.id, actor.sub, named):
            raise Conflict("you have given one of these candidates a disposition already, and it stands")
        review_id = ReviewId(new_id("rev"))
        at = await tx.clock()
        words = [Word(reviewer=actor.sub, at=at, **one.model_dump()) for one in findings]
        await review_repository.add(tx, review_id, item.id, actor.agency, words)
        await record(tx, ItemReviewed(actor=actor, item_id=item.id, review_id=review_id, dispositions=len(findings)))
        held = await self._settle(tx, actor, seen, review_id)
        return Review(id=review_id, **_progress(seen, held))

    async def _settle(self, tx: Transaction, actor: Actor, seen: Released, review_id: ReviewId) -> Record:
        """Note the moment when two have been through the list, and the one when a third has resolved it."""
        item = seen.item.id
        held = await review_repository.read(tx, item)
        said = review_outcome.by_reviewer(held.words)
        pair = review_outcome.finished(said, _candidates(seen))
        if not held.pair and len(pair) == review_outcome.REVIEWERS_NEEDED:
            disputed = review_outcome.differing(said, pair)
            await review_repository.complete(tx, item, pair, disputed)
            if disputed:
                await record(
                    tx, ReviewDisputed(actor=actor, item_id=item, review_id=review_id, candidates=len(disputed))
                )
            held = await review_repository.read(tx, item)
        if held.resolver is None:
            resolver = review_outcome.third(said, held.pair, seen.item.author, held.disputed)
            if resolver is not None:
                await review_repository.resolve(tx, item, review_id, resolver)
                await record(tx, ReviewResolved(actor=actor, item_id=item, review_id=review_id))
                held = await review_repository.read(tx, item)
        return held

    async def _reviews(self, tx: Transaction, actor: Actor, seen: Released) -> Reviews:
        held = await review_repository.read(tx, seen.item.id)
        said = review_outcome.by_reviewer(held.words)
        done = review_outcome.finished(said, _candidates(seen))
        open_to_all = held.state.settled or actor.sub in (seen.item.author, *done)
        shown = held.words if open_to_all else tuple(one for one in held.words if one.reviewer == actor.sub)
        return Reviews(
            **_progress(seen, held),
            withheld=not open_to_all,
            candidates=tuple(
                CandidateReview(
                    candidate=one,
                    outcome=review_outcome.outcome(said, held.pair, held.resolver, one) if open_to_all else None,
                    words=tuple(word for word in shown if word.candidate == one),
                )
                for one in _candidates(seen)
            ),
        )


def _candidates(seen: Released) -> list[str]:
    return [one["id"] for one in seen.content["candidates"]]


def _progress(seen: Released, held: Record) -> dict[str, Any]:
    done = review_outcome.finished(review_outcome.by_reviewer(held.words), _candidates(seen))
    return {"item": seen.item.id, "state": held.state, "reviewers": len(done), "disputed": held.disputed}
