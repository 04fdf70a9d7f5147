"""A recipient holds what it was given under terms: it makes use of it by the same gate, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from broker.decision.holding import Holding
from broker.decision.model import Permit
from broker.decision.sight import Sight
from broker.items.model import Source
from broker.kernel.errors import Invalid, NotFound
from broker.kernel.ids import AgencyId, ItemId
from broker.kernel.words import ItemKind
from broker.products.derive import Draft, Part
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from broker.release.acceptance import NotAccepted
from broker.release.holdings import ReleaseHoldings, _holding
from broker.release.model import Direction, Release
from broker.release.service import Refused
from broker.storage.unit_of_work import Transaction
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, analyst, codes, officer, workplace

FBI, POLICE = analyst("FBI"), analyst("STATE-EX-POLICE")
CAVEAT = {"caveats": ("no_onward",)}
Play = Callable[[Workplace], Awaitable[Any]]


def played(database: Database, play: Play, **how: Any) -> Any:
    async def run() -> Any:
        async with workplace(database, **how) as place:
            return await play(place)

    return asyncio.run(run())


async def held(place: Workplace, **terms: Any) -> tuple[str, Release, str]:
    """An item of DOS that FBI holds, the release, and a case of FBI's own."""
    case = await place.case()
    item = await place.item(case, "DOS")
    await place.grant("DOS", item, **(CAVEAT | terms))
    return item, await place.passed_on(case, item), await place.case(FBI)


async def derived(place: Workplace, actor: Any, case: str, *sources: Source) -> Any:
    draft = Draft(kind=ItemKind.NOTE, title="n", case_id=case, parts=(Part(text="w", sources=sources),))
    return await place.derive.derive(actor, draft, place.policy.bundle.purposes)


def test_content_is_shown_once_every_caveat_is_accepted(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, caveats=("no_onward", "lead_only"))
        made = await place.release(case, item)
        assert isinstance(made, Release)
        assert made.caveats == ("lead_only", "no_onward")
        assert isinstance(await place.releases.package(FBI, made.id), NotAccepted)
        # Who made the copy may look at what it made.
        assert isinstance(await place.releases.package(ANALYST, made.id), dict)
        for some in ((), ("lead_only",), ("lead_only", "no_onward", "department_only")):
            with pytest.raises(Invalid):
                await place.acceptances.accept(FBI, made.id, some)
        with pytest.raises(NotFound):
            await place.acceptances.accept(ANALYST, made.id, made.caveats)
        first = (await place.acceptances.accept(FBI, made.id, made.caveats)).acceptance
        again = (await place.acceptances.accept(officer("FBI"), made.id, made.caveats)).acceptance
        assert first == again
        assert first is not None
        assert (first.by, first.agency) == (FBI.sub, "FBI")
        package = await place.releases.package(FBI, made.id)
        assert isinstance(package, dict)
        assert package["item"]["id"] == item

    played(postgres, play)


def test_a_refusal_comes_before_the_caveats(postgres: Database) -> None:
    """What may not be had any more is not offered for acceptance."""

    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        grant = await place.grant("DOS", item, **CAVEAT)
        made = await place.release(case, item)
        assert isinstance(made, Release)
        await place.endings.revoke(officer("DOS"), grant.id, "no more", place.policy.bundle.agencies)
        assert isinstance(await place.releases.package(FBI, made.id), Refused)

    played(postgres, play)


def test_records_are_listed_by_side(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        _, made, _ = await held(place)

        async def ids(actor: Any, direction: Direction | None) -> set[str]:
            return {one.id for one in await place.releases.page(actor, direction, "", 1000)}

        assert made.id in await ids(FBI, Direction.RECEIVED)
        assert made.id in await ids(FBI, None)
        assert made.id not in await ids(FBI, Direction.MADE)
        assert made.id in await ids(ANALYST, Direction.MADE)
        assert made.id not in await ids(ANALYST, Direction.RECEIVED)
        assert made.id not in await ids(POLICE, None)

    played(postgres, play)


def test_the_next_hop_is_decided_by_the_same_gate(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        item, first, case = await held(place)
        # The look stays closed: to look at, there is the copy.
        assert await place.door.view(FBI, item) is None
        assert codes(await place.release(case, item, to="STATE-EX-POLICE", actor=FBI)) == {"permission_missing"}
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),))
        # A permission to pass on is not one to pass on further.
        assert codes(await place.release(case, item, to="STATE-EX-POLICE", actor=FBI)) == {"permission_missing"}
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True, **CAVEAT)
        second = await place.passed_on(case, item, to="STATE-EX-POLICE", actor=FBI)
        assert (first.hop, first.received_by) == (1, ())
        assert (second.hop, second.received_by, second.component) == (2, (first.id,), "FBI")
        # A third hop needs its own.
        third = await place.release(await place.case(POLICE), item, to="STATE-EX-DMV", actor=POLICE)
        assert codes(third) == {"permission_missing"}
        police = await place.case(POLICE)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-DMV"),), onward=True)
        # Onward is one hop beyond the component that asked, unless the owner says more.
        assert codes(await place.release(police, item, to="STATE-EX-DMV", actor=POLICE)) == {"permission_missing"}
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-DMV"),), onward=True, max_hops=2)
        made = await place.passed_on(await place.case(POLICE), item, to="STATE-EX-DMV", actor=POLICE)
        assert (made.hop, made.received_by) == (3, (second.id,))

    played(postgres, play)


def test_who_has_not_accepted_holds_nothing(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, **CAVEAT)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True)
        made = await place.release(case, item)
        assert isinstance(made, Release)
        theirs = await place.case(FBI)
        with pytest.raises(NotFound):
            await place.release(theirs, item, to="STATE-EX-POLICE", actor=FBI)
        await place.acceptances.accept(FBI, made.id, made.caveats)
        assert isinstance(await place.release(theirs, item, to="STATE-EX-POLICE", actor=FBI), Release)

    played(postgres, play)


def revoked(database: Database, **how: Any) -> bool:
    """Whether FBI can still pass on what it holds after the permission that brought it is gone."""

    async def play(place: Workplace) -> bool:
        case = await place.case()
        item = await place.item(case, "DOS")
        grant = await place.grant("DOS", item, **CAVEAT)
        await place.passed_on(case, item)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True)
        theirs = await place.case(FBI)
        await place.endings.revoke(officer("DOS"), grant.id, "no more", place.policy.bundle.agencies)
        try:
            answer = await place.release(theirs, item, to="STATE-EX-POLICE", actor=FBI)
        except NotFound:
            return False
        return isinstance(answer, Release)

    return bool(played(database, play, **how))


def test_a_holding_is_decided_anew(postgres: Database) -> None:
    assert not revoked(postgres)


def test_traitor_that_takes_a_holding_as_it_was_is_caught(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was permitted once is taken to be permitted still."""
    decided = Sight._again

    async def as_it_was(self: Sight, *what: Any, **how: Any) -> Any:
        return replace(await decided(self, *what, **how), outcome=Permit(grants=(), rules=(), caveats=()))

    monkeypatch.setattr(Sight, "_again", as_it_was)
    assert revoked(postgres)


def unaccepted(database: Database, holdings: Callable[[], ReleaseHoldings]) -> bool:
    """Whether FBI can make something of a copy whose caveats it has not accepted."""

    async def play(place: Workplace) -> bool:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, **CAVEAT)
        assert isinstance(await place.release(case, item), Release)
        try:
            await derived(place, FBI, await place.case(FBI), Source(item=ItemId(item)))
        except NotFound:
            return False
        return True

    return bool(played(database, play, holdings=holdings))


def test_traitor_for_whom_acceptance_is_not_required_is_caught(postgres: Database) -> None:
    class Trusting(ReleaseHoldings):
        """Whatever was released counts as held."""

        async def of(self, tx: Transaction, agency: AgencyId, item_id: ItemId) -> tuple[Holding, ...]:
            statement = "SELECT r.*, NULL AS purge_by FROM release r WHERE r.recipient = %s AND r.item_id = %s"
            return tuple(_holding(row) for row in await tx.rows(statement, (agency, item_id)))

    assert unaccepted(postgres, Trusting)
    assert not unaccepted(postgres, ReleaseHoldings)


def test_a_recalled_holding_is_none(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        item, _, case = await held(place)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True)
        recall = RecallService(place.work)
        notice = await recall.announce(officer("DOS"), item, NoticeKind.WITHDRAWN, "It was the wrong record.", None)
        with pytest.raises(NotFound):
            await place.release(case, item, to="STATE-EX-POLICE", actor=FBI)
        await recall.lift(officer("DOS"), notice.id)
        assert isinstance(await place.release(case, item, to="STATE-EX-POLICE", actor=FBI), Release)

    played(postgres, play)


def test_of_fields_that_were_released_no_more_goes_on(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, **CAVEAT)
        made = await place.release(case, item, fields=("/parts/0/text",))
        assert isinstance(made, Release)
        await place.acceptances.accept(FBI, made.id, made.caveats)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True)
        theirs = await place.case(FBI)
        for fields in (None, ("/title",), ("/parts/0",), ("/parts/0/text", "/title")):
            answer = await place.release(theirs, item, to="STATE-EX-POLICE", actor=FBI, fields=fields)
            assert codes(answer) == {"not_held"}, fields
        answer = await place.release(theirs, item, to="STATE-EX-POLICE", actor=FBI, fields=("/parts/0/text",))
        assert isinstance(answer, Release)
        package = await place.releases.package(FBI, answer.id)
        assert isinstance(package, dict)
        assert package["item"]["content"] == {"/parts/0/text": "p"}
        with pytest.raises(Invalid):
            await derived(place, FBI, theirs, Source(item=ItemId(item), selector="/title"))
        await derived(place, FBI, theirs, Source(item=ItemId(item), selector="/parts/0/text"))

    played(postgres, play)


def test_what_is_made_of_a_holding_is_its_author_s_to_see_and_the_owners_to_free(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        grant = await place.grant("DOS", item, **CAVEAT)
        await place.passed_on(case, item)
        theirs = await place.case(FBI)
        note = await derived(place, FBI, theirs, Source(item=ItemId(item)))
        assert note.lineage.owners == {"DOS"}
        assert note.lineage.markings[0].caveats == ("no_onward",)
        assert note.lineage.markings[0].asked_by == "ICE-HSI"
        assert await place.door.view(FBI, note.id) is not None
        assert await place.door.view(ANALYST, note.id) is None
        # And what is made of that rests on the same release; nobody has to walk to find it.
        later = await derived(place, FBI, theirs, Source(item=note.id))
        assert await place.door.view(FBI, later.id) is not None
        assert codes(await place.release(theirs, later.id, to="DOJ", actor=FBI)) == {"permission_missing"}
        await place.grant("DOS", later.id, recipients=(AgencyId("DOJ"),), onward=True)
        made = await place.release(theirs, later.id, to="DOJ", actor=FBI)
        assert isinstance(made, Release)
        assert made.hop == 2
        await place.endings.revoke(officer("DOS"), grant.id, "no more", place.policy.bundle.agencies)
        assert await place.door.view(FBI, note.id) is None
        assert await place.door.view(FBI, later.id) is None

    played(postgres, play)


def test_of_two_ways_one_is_enough_and_the_shorter_counts(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),))
        await place.grant("DOS", item)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True)
        await place.grant("DOS", item, recipients=(AgencyId("DOJ"),), onward=True)
        await place.passed_on(case, item)
        await place.passed_on(await place.case(FBI), item, to="STATE-EX-POLICE", actor=FBI)
        short = await place.passed_on(case, item, to="STATE-EX-POLICE")
        theirs = await place.case(POLICE)
        made = await place.release(theirs, item, to="DOJ", actor=POLICE)
        assert isinstance(made, Release)
        assert (made.hop, made.received_by) == (2, (short.id,))

    played(postgres, play)


def test_the_holding_is_part_of_the_record(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        item, first, case = await held(place)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True)
        made = await place.release(case, item, to="STATE-EX-POLICE", actor=FBI)
        assert isinstance(made, Release)
        async with place.work.begin() as tx:
            [decided] = await tx.rows("SELECT holdings, question FROM decision WHERE id = %s", (made.decision_id,))
            again = await tx.rows(
                "SELECT outcome, grants FROM decision WHERE item_id = %s AND channel = 'holding'", (item,)
            )
        assert decided.holdings == [first.id]
        assert decided.question["hops"] == 2
        assert [(one.outcome, one.grants) for one in again] == [("permit", list(first.grants))]

    played(postgres, play)
