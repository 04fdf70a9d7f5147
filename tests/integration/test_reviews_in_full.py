"""Two reviewers who disagree block what is made of the list until a third has spoken; and each speaks independently."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.kernel.errors import BrokerError, Conflict, Forbidden
from broker.products import review_outcome
from broker.products.review_outcome import Disposition, ReviewState
from broker.release.model import Release
from broker.release.service import Refused
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, codes, officer, reviewer, workplace


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with workplace(database) as place:
            return await test(place)

    return asyncio.run(run())


async def disputed(place: Workplace) -> tuple[str, str, str]:
    """A list on whose first candidate two reviewers disagree, and a lead of it that DOS lets go to FBI."""
    case = await place.case()
    listed = await place.listed(case, "DOS")
    await place.review(listed, "rita", c1="possible", c2="excluded")
    await place.review(listed, "rolf", c1="excluded", c2="excluded")
    lead = await place.lead(case, listed)
    await place.grant("DOS", lead)
    return case, listed, lead


def details(answer: Release | Refused) -> str:
    assert isinstance(answer, Refused)
    assert not answer.judgement.outcome
    return " ".join(reason.detail for reason in answer.judgement.outcome.reasons)


async def blocked_then_resolved(place: Workplace) -> None:
    case, listed, lead = await disputed(place)
    answer = await place.release(case, lead)
    assert codes(answer) == {"not_reviewed"}
    assert "the reviewers disagree; a third is needed" in details(answer)
    # One of the two cannot be the third: their words stand.
    with pytest.raises(Conflict):
        await place.review(listed, "rolf", c1="possible")
    # Nor can the requester, in whatever role.
    requester = Actor(sub="ana", agency="ICE-HSI", roles=("reviewer", "analyst"))
    with pytest.raises(Forbidden):
        await place.reviews.record(requester, listed, ())
    # A third who says nothing of what is disputed resolves nothing.
    assert (await place.review(listed, "rosa", c2="excluded")).state is ReviewState.DISPUTED
    assert codes(await place.release(case, lead)) == {"not_reviewed"}
    resolved = await place.review(listed, "rosa", c1="possible")
    assert (resolved.state, resolved.disputed) == (ReviewState.RESOLVED, ("c1",))
    assert isinstance(await place.release(case, lead), Release)
    seen = await place.reviews.read(ANALYST, listed)
    assert [one.outcome for one in seen.candidates] == [Disposition.POSSIBLE, Disposition.EXCLUDED]
    # It stays on record that two disagreed, and who.
    said = {word.reviewer: word.disposition.value for word in seen.candidates[0].words}
    assert said == {"rita": "possible", "rolf": "excluded", "rosa": "possible"}


def test_a_disagreement_blocks_until_a_third_resolves_it(postgres: Database) -> None:
    at_work(postgres, blocked_then_resolved)


def test_who_agrees_needs_no_third(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        listed = await place.listed(case, "DOS")
        lead = await place.lead(case, listed)
        await place.grant("DOS", lead)
        assert codes(await place.release(case, lead)) == {"not_reviewed"}
        await place.review(listed, "rita", c1="inconclusive", c2="excluded")
        done = await place.review(listed, "rolf", c1="inconclusive", c2="excluded")
        assert (done.state, done.disputed, done.reviewers) == (ReviewState.COMPLETE, (), 2)
        assert isinstance(await place.release(case, lead), Release)

    at_work(postgres, test)


def test_a_dispute_reaches_whatever_is_made_of_the_list_and_the_list_is_what_it_is(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case, listed, lead = await disputed(place)
        summary = await place.lead(case, lead)
        await place.grant("DOS", summary)
        await place.grant("DOS", listed)
        assert codes(await place.release(case, summary)) == {"not_reviewed"}
        assert isinstance(await place.release(case, listed), Release)

    at_work(postgres, test)


def test_nobody_who_may_still_speak_is_shown_what_the_others_said(postgres: Database) -> None:
    async def words(place: Workplace, who: Actor, item: str) -> set[tuple[str, str]]:
        seen = await place.reviews.read(who, item)
        return {(word.reviewer, word.candidate) for one in seen.candidates for word in one.words}

    async def test(place: Workplace) -> None:
        case = await place.case()
        listed = await place.listed(case, "DOS")
        await place.review(listed, "rita", c1="possible", c2="excluded")
        await place.review(listed, "rolf", c1="excluded")
        ritas = {("rita", "c1"), ("rita", "c2")}
        assert await words(place, reviewer("rolf"), listed) == {("rolf", "c1")}
        assert await words(place, reviewer("rosa"), listed) == set()
        # Another role or another token does not make another person of a reviewer.
        assert await words(place, Actor(sub="rosa", agency="ICE-HSI", roles=("analyst",)), listed) == set()
        assert await words(place, reviewer("rita"), listed) == {*ritas, ("rolf", "c1")}
        assert await words(place, ANALYST, listed) == {*ritas, ("rolf", "c1")}
        await place.review(listed, "rolf", c2="excluded")
        # Disputed: the third is told what is disputed, and not by whom it was called what.
        third = await place.reviews.read(reviewer("rosa"), listed)
        assert (third.disputed, third.withheld, third.state) == (("c1",), True, ReviewState.DISPUTED)
        assert all(one.words == () and one.outcome is None for one in third.candidates)
        await place.review(listed, "rosa", c1="excluded")
        assert len(await words(place, reviewer("rosa"), listed)) == 5
        assert len(await words(place, officer("DOS"), listed)) == 5
        for stranger in (reviewer("rex", "FBI"), officer("CBP")):
            with pytest.raises(BrokerError) as hidden:
                await place.reviews.read(stranger, listed)
            assert hidden.value.status == 404

    at_work(postgres, test)


def caught_by_the_rule(database: Database) -> bool:
    try:
        at_work(database, blocked_then_resolved)
    except (AssertionError, BrokerError):
        return True
    return False


def test_traitor_that_counts_a_disagreement_as_reviewed_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_outcome, "differing", lambda said, pair: ())
    assert caught_by_the_rule(postgres)


def test_traitor_that_takes_one_of_the_two_as_the_third_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = review_outcome.third

    def anybody(said: Any, pair: Any, requester: str, disputed: Any) -> str | None:
        return honest(said, (), requester, disputed)

    monkeypatch.setattr(review_outcome, "third", anybody)
    assert caught_by_the_rule(postgres)
