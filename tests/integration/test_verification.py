"""An owner's word before anybody relies on its information: for exactly one item, and a doubt for all that is made of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.kernel.errors import Invalid, NotFound
from broker.kernel.ids import AgencyId
from broker.products.verification_model import Confirmation
from broker.release.model import Release
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, codes, officer, workplace

VERIFY = ("verify_with_owner",)


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with workplace(database) as place:
            return await test(place)

    return asyncio.run(run())


async def say(place: Workplace, owner: str, item: str, outcome: Confirmation) -> None:
    await place.verifications.answer(officer(owner), item, outcome, None)


def test_a_caveat_is_met_by_each_owner_s_own_confirmation_and_no_other(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "CBP", "DOS", caveats=VERIFY)
        for owner in ("CBP", "DOS"):
            await place.grant(owner, item)
        assert codes(await place.release(case, item)) == {"caveat_unmet"}
        await say(place, "CBP", item, Confirmation.CONFIRMED)
        assert codes(await place.release(case, item)) == {"caveat_unmet"}
        await say(place, "DOS", item, Confirmation.CANNOT_SAY)
        assert codes(await place.release(case, item)) == {"caveat_unmet"}
        await say(place, "DOS", item, Confirmation.CONFIRMED)
        assert isinstance(await place.release(case, item), Release)
        # The last word counts.
        await say(place, "DOS", item, Confirmation.CANNOT_SAY)
        assert codes(await place.release(case, item)) == {"caveat_unmet"}

    at_work(postgres, test)


def test_a_confirmation_is_for_exactly_that_item(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        source = await place.item(case, "DOS", caveats=VERIFY)
        await say(place, "DOS", source, Confirmation.CONFIRMED)
        copy = await place.lead(case, source)
        await place.grant("DOS", copy)
        assert codes(await place.release(case, copy)) == {"caveat_unmet"}
        await say(place, "DOS", copy, Confirmation.CONFIRMED)
        assert isinstance(await place.release(case, copy), Release)

    at_work(postgres, test)


def test_a_doubt_reaches_what_is_made_of_it_before_and_after_with_or_without_a_caveat(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        source = await place.item(case, "DOS")
        before = await place.lead(case, source)
        deeper = await place.lead(case, before)
        await say(place, "DOS", source, Confirmation.NOT_CONFIRMED)
        after = await place.lead(case, deeper)
        for item in (source, before, deeper, after):
            await place.grant("DOS", item)
            assert codes(await place.release(case, item)) == {"caveat_unmet"}
            ancestry = await place.door.ancestry(ANALYST, item)
            assert ancestry is not None
            assert ancestry.said.unconfirmed == {"DOS"}
        # Nothing but the owner's yes to that same item takes the doubt back.
        await say(place, "DOS", source, Confirmation.CANNOT_SAY)
        await say(place, "DOS", after, Confirmation.CONFIRMED)
        assert codes(await place.release(case, after)) == {"caveat_unmet"}
        await say(place, "DOS", source, Confirmation.CONFIRMED)
        for item in (source, before, deeper, after):
            assert isinstance(await place.release(case, item), Release)

    at_work(postgres, test)


def test_owners_are_asked_and_each_sees_itself_alone(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "CBP", "DOS")
        asked = await place.verifications.ask(ANALYST, item, (), "Is this the same person?")
        assert asked.owners == ("CBP", "DOS")
        await say(place, "CBP", item, Confirmation.CONFIRMED)
        mine = {one.id: one for one in await place.verifications.page(ANALYST, "", 100)}
        assert mine[asked.id].answered == ("CBP",)
        theirs = {one.id: one for one in await place.verifications.page(officer("DOS"), "", 100)}
        assert (theirs[asked.id].owners, theirs[asked.id].answered) == (("DOS",), ())
        assert asked.id not in {one.id for one in await place.verifications.page(officer("FBI"), "", 100)}
        with pytest.raises(Invalid):
            await place.verifications.ask(ANALYST, item, (AgencyId("FBI"),), "Not an owner")
        async with place.work.begin() as tx:
            told = await tx.rows("SELECT recipient, subject FROM notification WHERE about ->> 'item' = %s", (item,))
        assert sorted((row.recipient, row.subject) for row in told) == [
            ("CBP", "verification_requested"),
            ("DOS", "verification_requested"),
            ("ICE-HSI", "verification_answered"),
        ]

    at_work(postgres, test)


def test_only_an_owner_answers_and_only_a_component_that_may_look_asks(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        stranger = Actor(sub="ed", agency="ICE-ERO", roles=("analyst",))
        for nobody in (item, "itm_" + "a" * 26):
            with pytest.raises(NotFound):
                await say(place, "CBP", nobody, Confirmation.CONFIRMED)
            with pytest.raises(NotFound):
                await place.verifications.ask(stranger, nobody, (), "Is it?")
            with pytest.raises(NotFound):
                await place.verifications.given(stranger, nobody)

    at_work(postgres, test)


def test_a_doubt_waits_for_a_release_under_way_and_no_later_one_passes(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS", caveats=VERIFY)
        await place.grant("DOS", item)
        await say(place, "DOS", item, Confirmation.CONFIRMED)
        async with place.work.begin() as holding:
            await place.door.view_within(holding, ANALYST, item, "view")
            doubting = asyncio.create_task(say(place, "DOS", item, Confirmation.NOT_CONFIRMED))
            await asyncio.sleep(0.2)
            assert not doubting.done()
        await doubting
        assert codes(await place.release(case, item)) == {"caveat_unmet"}

    at_work(postgres, test)
