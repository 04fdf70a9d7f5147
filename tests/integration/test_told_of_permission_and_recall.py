"""Whom an act concerns is told of it, by ids alone; who is late is listed and reminded; an exempt system is said to be."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.grants.model import Evidence
from broker.kernel.errors import Conflict
from broker.kernel.ids import AgencyId, ItemId, PurposeId
from broker.kernel.partner import Duty, Exemption, PartnerEntry
from broker.kernel.words import Action
from broker.recall.model import NoticeKind
from broker.recall.overdue import OverdueService
from broker.recall.service import RecallService
from broker.release.model import Recipient, Release, ReleaseRequest
from broker.release.permission.answers import Answer, AnswerService
from broker.release.permission.model import PartState, PermissionRequest
from broker.release.permission.repository import PermissionRepository
from broker.release.permission.requests import PermissionService, Question
from broker.storage.sealing import Sealer
from broker.storage.unit_of_work import Transaction
from tests.support.permission import terms
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, OUTER_KEY, Workplace, analyst, officer, workplace

Story = Callable[[Workplace], Awaitable[None]]
AUDITOR = Actor(sub="aud", agency="DHS", roles=("auditor",))


@pytest.fixture
def play(fresh_postgres: Database) -> Callable[[Story], None]:
    async def run(story: Story) -> None:
        async with workplace(fresh_postgres) as place:
            await story(place)

    return lambda story: asyncio.run(run(story))


async def told(place: Workplace, about: str) -> list[tuple[str, str]]:
    """Who was told what of that id, in order."""
    async with place.work.begin() as tx:
        rows = await tx.rows(
            "SELECT recipient, subject, about FROM notification"
            " WHERE %s IN (SELECT value FROM jsonb_each_text(about)) ORDER BY at, recipient",
            (about,),
        )
    assert all(list(row.about.values()) == [about] for row in rows)
    return [(row.recipient, row.subject) for row in rows]


def asking(place: Workplace, requests: type[PermissionRepository] = PermissionRepository) -> Any:
    repository = requests(Sealer(OUTER_KEY))
    return (
        PermissionService(place.work, place.door, PermissionRepository(Sealer(OUTER_KEY))),
        AnswerService(place.grants, repository),
    )


async def asked(place: Workplace, *owners: str, ends_in: float | None = None) -> PermissionRequest:
    """A request to these owners. Its end is set once it stands, so that a slow machine has no part in it."""
    case = await place.case()
    item = await place.item(case, *owners)
    wanted = ReleaseRequest(
        item=ItemId(item),
        recipient=Recipient(agency=AgencyId("FBI"), person="R. Invented", address="1 Sample Street"),
        action=Action.RELEASE,
        purpose=PurposeId("criminal_investigation"),
        case_id=case,
        fields=None,
    )
    question = Question(request=wanted, owners=(), justification="an invented reason", expires_at=None)
    service, _ = asking(place)
    request: PermissionRequest = await service.ask(ANALYST, question, place.policy)
    if ends_in is None:
        return request
    async with place.work.begin() as tx:
        ends = await tx.clock() + timedelta(seconds=ends_in)
        await tx.write("UPDATE permission_request SET expires_at = %s WHERE id = %s", (ends, request.id))
    return request.model_copy(update={"expires_at": ends})


def answer(decision: PartState, **changes: Any) -> Answer:
    members: dict[str, Any] = {
        "owner": None,
        "decision": decision,
        "note": None,
        "valid_from": None,
        "valid_until": None,
        "max_uses": None,
        "onward": False,
        "caveats": (),
        "fields": None,
        "evidence": None,
    }
    return Answer(**(members | changes))


def test_owners_are_asked_and_the_component_is_told_of_each_answer(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        request = await asked(place, "CBP", "DOS")
        _, answers = asking(place)
        service, _ = asking(place)
        expected = [("CBP", "permission_requested"), ("DOS", "permission_requested")]
        assert await told(place, request.id) == expected
        await answers.answer(officer("DOS"), request.id, answer(PartState.NEEDS_INFORMATION), place.policy)
        await service.inform(ANALYST, request.id, "What was asked for.")
        await answers.answer(officer("DOS"), request.id, answer(PartState.GRANTED), place.policy)
        expected += [
            ("ICE-HSI", "permission_answered"),
            ("DOS", "permission_informed"),
            ("ICE-HSI", "permission_answered"),
        ]
        assert await told(place, request.id) == expected
        await service.withdraw(ANALYST, request.id)
        assert await told(place, request.id) == [*expected, ("CBP", "permission_withdrawn")]

    play(story)


def test_what_nobody_answers_is_told_to_both_sides(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        request = await asked(place, "DOS", ends_in=-1)
        service, _ = asking(place)
        assert await service.expire_overdue() == 1
        assert await service.expire_overdue() == 0
        assert (await told(place, request.id))[1:] == [("DOS", "permission_expired"), ("ICE-HSI", "permission_expired")]

    play(story)


def test_an_owner_is_told_what_somebody_else_recorded_for_it(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        item = await place.item(await place.case(), "DOS")
        own = await place.grant("DOS", item)
        now = datetime.now(UTC)
        wanted = terms("DOS", item=item, valid_from=now, valid_until=now + timedelta(days=1))
        assert isinstance(wanted.evidence, Evidence)
        liaison = Actor(sub="lia", agency="STATE-EX", roles=("liaison",))
        recorded = await place.grants.record(liaison, wanted, place.policy)
        assert await told(place, own.id) == []
        assert await told(place, recorded.id) == [("DOS", "grant_recorded")]

    play(story)


async def released(place: Workplace, *recipients: str) -> str:
    """A DOS item that these agencies have a copy of."""
    case = await place.case()
    item = await place.item(case, "DOS")
    await place.grant("DOS", item, recipients=tuple(AgencyId(one) for one in recipients))
    for recipient in recipients:
        assert isinstance(await place.release(case, item, to=recipient), Release)
    return item


def passed(database: Database, notice: str) -> None:
    """The day by which a notice is to be acknowledged was an hour ago. The service itself could not change it."""
    with database.owner() as owner:
        owner.execute("UPDATE notice SET acknowledge_by = now() - interval '1 hour' WHERE id = %s", [notice])


def test_every_recipient_is_told_once_of_a_notice_and_of_its_lifting(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, recipients=(AgencyId("FBI"), AgencyId("STATE-EX-POLICE")))
        for recipient in ("FBI", "FBI", "STATE-EX-POLICE"):
            assert isinstance(await place.release(case, item, to=recipient), Release)
        recall = RecallService(place.work)
        notice = await recall.announce(officer("DOS"), item, NoticeKind.CORRECTED, "Wrong.", None)
        both = [("FBI", "notice_recorded"), ("STATE-EX-POLICE", "notice_recorded")]
        assert await told(place, notice.id) == both
        await recall.lift(officer("DOS"), notice.id)
        assert await told(place, notice.id) == [*both, ("FBI", "notice_lifted"), ("STATE-EX-POLICE", "notice_lifted")]

    play(story)


def test_who_got_it_from_a_recipient_is_told_as_well(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, onward=True)
        await place.passed_on(case, item)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True)
        await place.passed_on(await place.case(analyst("FBI")), item, to="STATE-EX-POLICE", actor=analyst("FBI"))
        notice = await RecallService(place.work).announce(officer("DOS"), item, NoticeKind.WITHDRAWN, "Wrong.", None)
        assert notice.recipients == 2
        assert await told(place, notice.id) == [("FBI", "notice_recorded"), ("STATE-EX-POLICE", "notice_recorded")]

    play(story)


def test_who_is_late_is_on_the_owner_s_list_and_reminded_once_a_day(
    play: Callable[[Story], None], fresh_postgres: Database
) -> None:
    async def story(place: Workplace) -> None:
        item = await released(place, "FBI", "STATE-EX-POLICE")
        recall, overdue = RecallService(place.work), OverdueService(place.work)
        notice = await recall.announce(officer("DOS"), item, NoticeKind.WITHDRAWN, "Wrong.", None)
        assert await recall.acknowledge(Actor(sub="f", agency="FBI", roles=("analyst",)), notice.id) == 1
        assert await overdue.page(officer("DOS"), 10) == []
        assert await overdue.remind() == 0
        passed(fresh_postgres, notice.id)
        (late,) = await overdue.page(officer("DOS"), 10)
        assert (late.recipient, late.notice, late.days) == ("STATE-EX-POLICE", notice.id, 0)
        assert await overdue.page(officer("CBP"), 10) == []
        assert [one.recipient for one in await overdue.page(AUDITOR, 10)] == ["STATE-EX-POLICE"]
        assert [await overdue.remind(), await overdue.remind()] == [1, 0]
        reminded = [("DOS", "notice_unacknowledged"), ("STATE-EX-POLICE", "notice_unacknowledged")]
        assert (await told(place, notice.id))[2:] == reminded
        async with place.work.begin() as tx:
            await tx.write("UPDATE notice_delivery SET reminded_at = reminded_at - interval '1 day'", ())
        assert await overdue.remind() == 1
        await recall.lift(officer("DOS"), notice.id)
        assert await overdue.page(officer("DOS"), 10) == []

    play(story)


def exempt(place: Workplace, since: date) -> Callable[[], tuple[PartnerEntry, ...]]:
    exemption = Exemption(duty=Duty.CORRECTION_NOTICE, ground="an invented rule", valid_from=since)
    return lambda: tuple(
        entry.model_copy(update={"exemptions": (exemption,)}) if entry.id == "dos-ccd" else entry
        for entry in place.policy.bundle.partners
    )


def test_an_exempt_system_stops_passing_on_and_asks_nobody_to_acknowledge(
    play: Callable[[Story], None], fresh_postgres: Database
) -> None:
    async def story(place: Workplace) -> None:
        item = await released(place, "FBI")
        overdue = OverdueService(place.work)
        recall = RecallService(place.work, exempt(place, date(2020, 1, 1)))
        notice = await recall.announce(officer("DOS"), item, NoticeKind.WITHDRAWN, "Wrong.", None)
        assert notice.exempt_ground == "an invented rule"
        (copy,) = await recall.inbox(Actor(sub="f", agency="FBI", roles=("analyst",)), 10)
        assert copy.exempt_ground == "an invented rule"
        assert not isinstance(await place.release(await place.case(), item), Release)
        passed(fresh_postgres, notice.id)
        assert await overdue.page(officer("DOS"), 10) == []
        assert await overdue.remind() == 0

    play(story)


def test_an_exemption_holds_from_its_day_and_for_its_own_system(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        case = await place.case()
        mixed = await place.item(case, "DOS", "CBP")
        today = datetime.now(UTC).date()
        later = RecallService(place.work, exempt(place, today + timedelta(days=2)))
        notice = await later.announce(officer("DOS"), mixed, NoticeKind.DISPUTED, "Perhaps.", None)
        assert notice.exempt_ground is None
        now = RecallService(place.work, exempt(place, today))
        notice = await now.announce(officer("CBP"), mixed, NoticeKind.DISPUTED, "Perhaps.", None)
        assert notice.exempt_ground is None
        # A part that came from no system is exempt by none.
        own = await place.item(case, "ICE-HSI")
        notice = await now.announce(officer("ICE-HSI"), own, NoticeKind.DISPUTED, "Perhaps.", None)
        assert notice.exempt_ground is None

    play(story)


# --- an answer against the end of its request


class EarlyClock(PermissionRepository):
    """The traitor: what it calls now is the moment before its lock."""

    async def hold(self, tx: Transaction, request_id: str) -> PermissionRequest | None:
        early = await tx.clock()

        async def clock() -> datetime:
            return early

        found = await super().hold(tx, request_id)
        tx.clock = clock  # type: ignore[method-assign]
        return found


async def grants_after_expiry(place: Workplace, requests: type[PermissionRepository], rounds: int) -> int:
    """Rounds in which an answer that waited for the row until the request had expired still granted."""
    late = 0
    for _ in range(rounds):
        request = await asked(place, "DOS", ends_in=0.12)
        _, answers = asking(place, requests)
        async with place.work.begin() as tx:
            await PermissionRepository(Sealer(OUTER_KEY)).hold(tx, request.id)
            waiting = asyncio.create_task(
                answers.answer(officer("DOS"), request.id, answer(PartState.GRANTED), place.policy)
            )
            while await tx.clock() <= request.expires_at:
                await asyncio.sleep(0.01)
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        late += not isinstance(outcome, Conflict)
    return late


def test_an_answer_after_the_end_of_a_request_never_grants(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        assert await grants_after_expiry(place, PermissionRepository, 15) == 0

    play(story)


def test_traitor_that_reads_the_clock_before_its_lock_grants_what_has_expired(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        assert await grants_after_expiry(place, EarlyClock, 3) > 0

    play(story)


def test_answers_and_the_sweeper_at_once_leave_one_outcome(play: Callable[[Story], None]) -> None:
    async def story(place: Workplace) -> None:
        service, answers = asking(place)
        granted = 0
        for number in range(25):
            request = await asked(place, "DOS", ends_in=0.3)
            before = 0.25 - number / 80
            await asyncio.sleep(max(0, (request.expires_at - datetime.now(UTC)).total_seconds() - before))
            given, *_ = await asyncio.gather(
                answers.answer(officer("DOS"), request.id, answer(PartState.GRANTED), place.policy),
                service.expire_overdue(),
                service.expire_overdue(),
                return_exceptions=True,
            )
            await asyncio.sleep(0.02)
            await service.expire_overdue()
            async with place.work.begin() as tx:
                ended = await PermissionRepository(Sealer(OUTER_KEY)).read(tx, request.id)
                rows = await tx.rows("SELECT recorded_at FROM permission_grant WHERE id = %s", (_grant_of(ended),))
            assert ended is not None
            part = ended.parts[0]
            if isinstance(given, PermissionRequest):
                granted += 1
                assert part.state is PartState.GRANTED
                assert rows[0].recorded_at < request.expires_at
            else:
                assert (part.state, rows) == (PartState.EXPIRED, [])
        assert 0 < granted < 25

    play(story)


def _grant_of(request: PermissionRequest | None) -> str | None:
    return request.parts[0].grant_id if request is not None else None
