"""Ways by which something left, or was learnt, beside the door: each was open once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.audit.reader import Filters
from broker.items.model import Source
from broker.kernel.clock import SystemClock
from broker.kernel.errors import BrokerError, Forbidden, Invalid, NotFound
from broker.kernel.ids import AgencyId, ItemId, new_id
from broker.kernel.words import Action, ItemKind
from broker.oversight.reports import Reports
from broker.oversight.trail import AuditTrail
from broker.products.derive import Draft, Part
from broker.products.review import Disposition, Finding
from broker.provenance.lineage import Lineage
from broker.release.model import Release
from tests.support.permission import marking, terms
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, codes, officer, workplace

OUTSIDER = Actor(sub="finn", agency="FBI", roles=("analyst",))
LISTS = ItemKind.CANDIDATE_LIST


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with workplace(database) as place:
            await test(place)

    asyncio.run(run())


async def dos_list(place: Workplace, case: str, *caveats: str) -> ItemId:
    lineage = Lineage(markings=(marking("DOS", case_id=case, caveats=caveats),), roots=frozenset())
    item_id = ItemId(new_id("itm"))
    lineage = lineage.model_copy(update={"roots": frozenset({item_id})})
    await place.item(case, "DOS", kind=LISTS, id=item_id, lineage=lineage)  # type: ignore[arg-type]
    return item_id


def written(case: str, *sources: str, selector: str | None = None) -> Draft:
    part = Part(text="What both say.", sources=tuple(Source(item=ItemId(one), selector=selector) for one in sources))
    return Draft(kind=ItemKind.LEAD, title="A lead", case_id=case, parts=(part,))  # type: ignore[arg-type]


async def entries(place: Workplace, actor: Actor) -> list[Any]:
    return list((await AuditTrail(place.work).entries(actor, Filters(), None, 500)).items)


def test_an_outside_officer_cannot_read_in_the_audit_that_an_item_exists(postgres: Database) -> None:
    """404 says nothing; the same agency's release officer read the item's id and owners from the entry behind it."""

    async def test(place: Workplace) -> None:
        item = await place.item(await place.case(), "DOS", "CBP")
        before = len(await entries(place, officer("FBI")))
        assert await place.door.view(OUTSIDER, item) is None
        there = await entries(place, officer("FBI"))
        assert await place.door.view(OUTSIDER, new_id("itm")) is None
        not_there = await entries(place, officer("FBI"))
        assert not [one for one in not_there if item in one.model_dump_json()]
        # Neither the one refusal nor the other adds anything but the officer's own reading of the audit.
        assert len(there) - before == len(not_there) - len(there) == 1
        auditor = Actor(sub="aud", agency="DHS", roles=("auditor",))
        assert [one for one in await entries(place, auditor) if item in one.model_dump_json()]

    at_work(postgres, test)


def test_nor_by_a_proof(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        item = await place.item(await place.case(), "DOS")
        await place.door.view(OUTSIDER, item)
        auditor = Actor(sub="aud", agency="DHS", roles=("auditor",))
        event = next(one.event_id for one in await entries(place, auditor) if item in one.model_dump_json())
        with pytest.raises(NotFound):
            await AuditTrail(place.work).proof(officer("FBI"), event)

    at_work(postgres, test)


@pytest.mark.parametrize("caveat", ["originator_only", "department_only", "verify_with_owner"])
def test_a_caveat_stops_the_look_of_those_who_did_not_ask(postgres: Database, caveat: str) -> None:
    """`originator_only` is for the component that asked; a standing permission to look does not lift it."""

    async def test(place: Workplace) -> None:
        case = await place.case()
        free, restricted = await dos_list(place, case), await dos_list(place, case, caveat)
        for item in (free, restricted):
            await place.grant("DOS", item, action=Action.VIEW, onward=True)
        assert await place.door.view(OUTSIDER, free)
        assert await place.door.view(ANALYST, restricted)
        assert await place.door.view(OUTSIDER, restricted) is None

    at_work(postgres, test)


def test_a_permission_to_look_needs_no_onward(postgres: Database) -> None:
    """`onward` is about passing on; who only looks passes nothing on."""

    async def test(place: Workplace) -> None:
        item = await dos_list(place, await place.case())
        await place.grant("DOS", item, action=Action.VIEW, onward=False)
        assert await place.door.view(OUTSIDER, item)

    at_work(postgres, test)


def test_what_is_written_under_a_grant_keeps_the_caveats_of_that_grant(postgres: Database) -> None:
    """R12: DOS lets FBI look under a caveat; what FBI writes from it must not be free of the caveat."""

    async def test(place: Workplace) -> None:
        item = await dos_list(place, await place.case())
        await place.grant("DOS", item, action=Action.VIEW, onward=True, caveats=("no_onward",))
        case = await place.cases.open(OUTSIDER, "FBI-1", "An invented case")
        lead = await place.derive.derive(OUTSIDER, written(case.id, item), place.policy.bundle.purposes)
        assert [one.caveats for one in lead.lineage.markings] == [("no_onward",)]

    at_work(postgres, test)


def test_a_look_that_ends_in_a_refused_request_stays_on_record(postgres: Database) -> None:
    """R18: content was opened and judged by selectors or candidates; the 422 took the record of it back."""

    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await dos_list(place, case)
        bad: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: place.derive.derive(
                ANALYST, written(case, item, selector="/candidates/7"), place.policy.bundle.purposes
            ),
            lambda: place.derive.derive(ANALYST, written(new_id("cas"), item), place.policy.bundle.purposes),
            lambda: place.reviews.record(
                Actor(sub="rita", agency="ICE-HSI", roles=("reviewer",)),
                item,
                (Finding(candidate="c7", disposition=Disposition.POSSIBLE, note=None),),
            ),
            lambda: place.reviews.record(
                ANALYST, item, (Finding(candidate="c1", disposition=Disposition.POSSIBLE, note=None),)
            ),
        )
        for number, act in enumerate(bad, start=1):
            with pytest.raises(BrokerError):
                await act()
            assert _count(postgres, "SELECT count(*) FROM decision WHERE item_id = %s", item) == number
            assert _count(postgres, "SELECT count(*) FROM audit_entry WHERE subjects ->> 'item' = %s", item) == number
        assert _count(postgres, "SELECT count(*) FROM review WHERE item_id = %s", item) == 0
        assert _count(postgres, "SELECT count(*) FROM item_source WHERE source_id = %s", item) == 0

    at_work(postgres, test)


def test_a_refused_field_of_a_release_stays_on_record(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item)
        from broker.release.model import Recipient, ReleaseRequest

        request = ReleaseRequest(
            item=item,
            recipient=Recipient(agency=AgencyId("FBI"), person="R.", address="1 Sample Street"),
            action=Action.RELEASE,
            purpose="criminal_investigation",  # type: ignore[arg-type]
            case_id=case,
            fields=("/parts/9",),
        )
        with pytest.raises(Invalid):
            await place.releases.release(ANALYST, request, place.policy, new_id("key"), "f")
        assert _count(postgres, "SELECT count(*) FROM decision WHERE item_id = %s", item) == 1
        assert _count(postgres, "SELECT count(*) FROM release WHERE item_id = %s", item) == 0
        assert _count(postgres, "SELECT count(*) FROM disclosure WHERE item_id = %s", item) == 0

    at_work(postgres, test)


def test_deleting_an_unreviewed_list_does_not_review_it(fresh_postgres: Database) -> None:
    """R12, R8: with the list's row gone, nobody asked any more whether it had been reviewed."""

    async def test(place: Workplace) -> None:
        case = await place.case()
        item = ItemId(new_id("itm"))
        lineage = Lineage(markings=(marking("DOS", case_id=case),), roots=frozenset({item}))
        await place.item(case, "DOS", kind=LISTS, id=item, lineage=lineage, candidates=3)
        lead = (await place.derive.derive(ANALYST, written(case, item), place.policy.bundle.purposes)).id
        await place.grant("DOS", lead)
        assert codes(await place.release(case, lead)) == {"not_reviewed"}
        with fresh_postgres.owner() as owner:
            for name in ("item_marking", "item_root", "item_source"):
                owner.execute(f"DELETE FROM {name} WHERE item_id = %s", [item])
            owner.execute("DELETE FROM item WHERE id = %s", [item])
        assert codes(await place.release(case, lead)) == {"not_reviewed"}

    at_work(fresh_postgres, test)


def test_who_takes_an_owner_off_an_item_in_the_database_opens_nothing(fresh_postgres: Database) -> None:
    """The marking is bound to the item for good: without it, or with another, the content does not open."""

    async def test(place: Workplace) -> None:
        case = await place.case()
        statements = (
            "DELETE FROM item_marking WHERE item_id = %s AND owner = 'DOS'",
            "UPDATE item_marking SET owner = 'ICE-HSI' WHERE item_id = %s AND owner = 'DOS'",
            "UPDATE item_marking SET caveats = '{}' WHERE item_id = %s",
            "UPDATE item SET kind = 'candidate_list' WHERE id = %s",
            "UPDATE item SET author = 'somebody' WHERE id = %s",
        )
        for statement in statements:
            lineage = Lineage(
                markings=tuple(marking(one, case_id=case, caveats=("lead_only",)) for one in ("DOS", "ICE-HSI")),
                roots=frozenset(),
            )
            item = await place.item(case, "DOS", "ICE-HSI", lineage=lineage)
            await place.grant("DOS", item)
            assert isinstance(await place.release(case, item), Release)
            with fresh_postgres.owner() as owner:
                assert owner.execute(statement, [item]).rowcount
            with pytest.raises(Exception, match="itm_"):
                await place.release(case, item)
            with pytest.raises(Exception, match="itm_"):
                await place.door.view(ANALYST, item)

    at_work(fresh_postgres, test)


def test_an_owner_is_not_told_its_co_owners_in_the_accounting(postgres: Database) -> None:
    """That DOS was asked is DOS's information; CBP reads of a disclosure that its own part went, and no more."""

    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "CBP", "DOS")
        await place.grant("DOS", item)
        await place.grant("CBP", item)
        made = await place.release(case, item)
        assert isinstance(made, Release)

        async def owners(agency: str | None) -> list[str]:
            now = datetime.now(UTC)
            report = await Reports(place.work, SystemClock()).run(
                officer(agency or "CBP"), "disclosures", now - timedelta(hours=1), None, agency, ()
            )
            return next(row["owners"] for row in report.rows if row["release_id"] == made.id)

        assert await owners("CBP") == ["CBP"]
        assert await owners("DOS") == ["DOS"]
        assert await owners("ICE-HSI") == ["CBP", "DOS"]
        assert await owners(None) == ["CBP", "DOS"]

    at_work(postgres, test)


def test_a_release_officer_looks_at_what_the_own_agency_owns_and_at_nothing_else(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await dos_list(place, case)
        assert await place.door.view(officer("DOS"), item)
        assert await place.door.view(officer("ICE-HSI"), item) is None
        both = Actor(sub="b", agency="ICE-HSI", roles=("analyst", "release_officer"))
        assert await place.door.view(both, item)

    at_work(postgres, test)


def test_a_liaison_of_the_side_that_asked_records_nothing_for_what_others_wrote_from_it(postgres: Database) -> None:
    """ICE asked, FBI wrote: a liaison of ICE's department stands on the asking side still."""

    async def test(place: Workplace) -> None:
        item = await dos_list(place, await place.case())
        await place.grant("DOS", item, action=Action.VIEW)
        case = await place.cases.open(OUTSIDER, "FBI-1", "An invented case")
        lead = await place.derive.derive(OUTSIDER, written(case.id, item), place.policy.bundle.purposes)
        now = datetime.now(UTC)
        wanted = terms(
            "DOS",
            item=lead.id,
            recipients=(AgencyId("STATE-EX"),),
            valid_from=now,
            valid_until=now + timedelta(days=1),
        )

        def liaison(agency: str) -> Actor:
            return Actor(sub="lia", agency=agency, roles=("liaison",))

        for agency in ("CBP", "FBI", "STATE-EX-DMV"):
            with pytest.raises(Forbidden):
                await place.grants.record(liaison(agency), wanted, place.policy)
        assert (await place.grants.record(liaison("VENDOR-EX"), wanted, place.policy)).status == "pending"

    at_work(postgres, test)


def _count(database: Database, statement: str, about: str) -> int:
    with database.owner() as owner:
        row = owner.execute(statement, [about]).fetchone()
    assert row is not None
    return int(row[0])
