"""The reports on corrections and traces: counts and ids, and of others' items nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.grants.duties import PurgeBy
from broker.kernel.clock import SystemClock
from broker.kernel.errors import Invalid
from broker.kernel.ids import AgencyId, new_id
from broker.kernel.partner import Duty, Exemption
from broker.oversight.reports import Report, Reports
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from broker.release.model import Release
from tests.support.postgres import Database
from tests.support.workplace import Workplace, officer, workplace

SINCE = datetime(2017, 1, 1, tzinfo=UTC)
AUDITOR = Actor(sub="aud", agency="DHS", roles=("auditor",))
READER = Actor(sub="fred", agency="FBI", roles=("analyst",))
Story = Callable[[Workplace], Awaitable[None]]


@pytest.fixture
def play(fresh_postgres: Database) -> Callable[[Story], None]:
    async def run(story: Story) -> None:
        async with workplace(fresh_postgres) as place:
            await story(place)

    return lambda story: asyncio.run(run(story))


async def run(
    place: Workplace, name: str, agency: str | None = None, item: str | None = None, until: datetime | None = None
) -> Report:
    partners = place.policy.bundle.partners
    return await Reports(place.work, SystemClock()).run(AUDITOR, name, SINCE, until, agency, partners, item)


async def written_of(place: Workplace, item: str, source: str) -> None:
    """Note that one item was made of another, as deriving does."""
    async with place.work.begin() as tx:
        await tx.write("INSERT INTO item_source VALUES (%s, 0, 0, %s, NULL)", (item, source))


def test_copies_that_an_owner_wanted_gone_are_listed_for_that_owner_and_its_side(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        soon = datetime.now(UTC) + timedelta(days=1)
        await place.grant("DOS", item, duties=(PurgeBy(at=soon),))
        made = await place.release(case, item)
        assert isinstance(made, Release)
        assert (await run(place, "copies-to-destroy")).rows == []
        later = soon + timedelta(days=3, hours=1)
        for reader in (None, "DOS", "ICE-HSI"):
            [row] = (await run(place, "copies-to-destroy", reader, until=later)).rows
            assert (row["release"], row["recipient"], row["days_over"]) == (made.id, "FBI", 3)
        assert (await run(place, "copies-to-destroy", "CBP", until=later)).rows == []

    play(story)


def test_what_became_of_a_correction_is_counted(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, recipients=(AgencyId("FBI"), AgencyId("STATE-EX-POLICE")))
        for recipient in ("FBI", "STATE-EX-POLICE"):
            assert isinstance(await place.release(case, item, to=recipient), Release)
        recall = RecallService(place.work)
        notice = await recall.announce(officer("DOS"), item, NoticeKind.CORRECTED, "The content of it.", None)
        await recall.acknowledge(READER, notice.id)
        (row,) = (await run(place, "corrections")).rows
        shown = {name: row[name] for name in ("notice", "owner", "item", "finding", "reported_by")}
        assert shown == {
            "notice": notice.id,
            "owner": "DOS",
            "item": item,
            "finding": "corrected",
            "reported_by": "olga.DOS",
        }
        assert counts(row) == {"to_tell": 2, "told": 1, "acknowledged": 1, "overdue": 0, "exempt": 0, "days": 0}
        assert "The content of it." not in str(row)
        async with place.work.begin() as tx:
            await tx.write("UPDATE notification SET delivered_at = clock_timestamp() WHERE recipient <> 'FBI'", ())
        later = datetime.now(UTC) + timedelta(days=12)
        (row,) = (await run(place, "corrections", "DOS", until=later)).rows
        assert counts(row) == {"to_tell": 2, "told": 2, "acknowledged": 1, "overdue": 1, "exempt": 0, "days": 12}
        assert (await run(place, "corrections", "CBP")).rows == []

    play(story)


def counts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("to_tell", "told", "acknowledged", "overdue", "exempt", "days")}


def test_an_exempt_system_s_recipients_stand_apart_with_the_ground(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item)
        assert isinstance(await place.release(case, item), Release)
        exemption = Exemption(duty=Duty.CORRECTION_NOTICE, ground="an invented rule", valid_from=date(2020, 1, 1))
        partners = [one.model_copy(update={"exemptions": (exemption,)}) for one in place.policy.bundle.partners]
        recall = RecallService(place.work, lambda: partners)
        await recall.announce(officer("DOS"), item, NoticeKind.WITHDRAWN, "Wrong.", None)
        (row,) = (await run(place, "corrections", until=datetime.now(UTC) + timedelta(days=12))).rows
        assert {**counts(row), "days": 0} == {
            "to_tell": 0,
            "told": 0,
            "acknowledged": 0,
            "overdue": 0,
            "exempt": 1,
            "days": 0,
        }
        assert row["ground"] == "an invented rule"

    play(story)


def test_a_trace_goes_both_ways_and_names_every_recipient(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        case = await place.case()
        listed = await place.item(case, "DOS")
        lead = await place.item(case, "DOS")
        both = await place.item(case, "DOS", "CBP")
        await written_of(place, lead, listed)
        await written_of(place, both, lead)
        await place.grant("DOS", lead)
        assert isinstance(await place.release(case, lead), Release)
        rows = (await run(place, "trace", item=listed)).rows
        forward = [(row["direction"], row["item"], row["recipient"]) for row in rows]
        assert forward == [("forward", listed, None), ("forward", lead, "FBI"), ("forward", both, None)]
        rows = (await run(place, "trace", item=both)).rows
        backward = {row["item"]: (row["systems"], row["owners"]) for row in rows if row["direction"] == "backward"}
        assert backward == {listed: (["dos-ccd"], ["DOS"]), lead: (["dos-ccd"], ["DOS"])}
        # A co-owner follows its own part, and does not learn of the other's sources.
        rows = (await run(place, "trace", "CBP", item=both)).rows
        assert [(row["item"], row["owners"], row["systems"]) for row in rows] == [(both, ["CBP"], ["cbp-atsp"])]
        strange = (await run(place, "trace", "CBP", item=listed)).rows
        assert strange == (await run(place, "trace", "CBP", item=new_id("itm"))).rows == []
        with pytest.raises(Invalid):
            await run(place, "trace")

    play(story)
