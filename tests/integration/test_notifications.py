"""Messages are brought at least once and tried until they are taken, over real HTTP, across the death of a worker."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from broker.audit.events import Actor
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.errors import NotFound
from broker.kernel.ids import AgencyId, new_id
from broker.notify import repository
from broker.notify.courier import Courier
from broker.notify.inbox import READERS, InboxService
from broker.notify.receivers import Receivers
from broker.storage.database import engine_for
from broker.storage.unit_of_work import Transaction, UnitOfWork
from broker.transport import Transport
from tests.support.postgres import Database
from tests.support.receiver import NEVER, Receiver

QUICK = {"call_seconds": 0.3, "lease": timedelta(seconds=0.4), "first_wait": timedelta(milliseconds=5)}


class Desk:
    """A courier for one agency's receiver, on a database of its own."""

    def __init__(self, work: UnitOfWork, transport: Transport, keys: Path, receiver: Receiver) -> None:
        self.work = work
        self.transport = transport
        self.receiver = receiver
        self.receivers = Receivers({"DOS": receiver.url}, keys)
        self.couriers = [Courier(work, transport, self.receivers, **QUICK) for _ in range(3)]  # type: ignore[arg-type]
        self.inbox = InboxService(work, self.receivers)

    async def post(self, *, to: str = "DOS", subject: Happened = Happened.PERMISSION_REQUESTED) -> str:
        about = {"permission_request": new_id("req")}
        async with self.work.begin() as tx:
            await post(tx, Message(to=AgencyId(to), subject=subject, about=about, at=await tx.clock()))
        async with self.work.begin() as tx:
            rows = await tx.rows("SELECT id FROM notification WHERE about = %s::jsonb", (str(about).replace("'", '"'),))
        return str(rows[0].id)

    async def rounds(self, number: int = 1) -> None:
        """That many looks of one courier, far enough apart for what was put back to be due again."""
        for _ in range(number):
            await self.couriers[0].look()
            await self.couriers[0].settled()
            await asyncio.sleep(0.02)

    async def until_accepted(self, messages: int, seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while len(self.receiver.accepted) < messages:
                await self.rounds()

    async def row(self, message: str) -> Any:
        async with self.work.begin() as tx:
            return (await tx.rows("SELECT * FROM notification WHERE id = %s", (message,)))[0]

    async def recorded(self, message: str) -> int:
        async with self.work.begin() as tx:
            rows = await tx.rows(
                "SELECT detail FROM audit_entry WHERE tag = 'notification:message:delivered'"
                " AND subjects ->> 'notification' = %s",
                (message,),
            )
        return len(rows)


def at_desk(database: Database, keys: Path, play: Any) -> None:
    async def run() -> None:
        engine = engine_for(database.app_url)
        try:
            async with Transport() as transport:
                receiver = Receiver()
                async with receiver.up():  # It takes a port and is then down until a test opens it.
                    pass
                await play(Desk(UnitOfWork(engine), transport, keys, receiver))
        finally:
            await engine.dispose()

    asyncio.run(run())


@pytest.fixture
def play(fresh_postgres: Database, tmp_path: Path) -> Any:
    return lambda story: at_desk(fresh_postgres, tmp_path / "home" / "keys", story)


def test_down_then_broken_then_slow_then_up_it_arrives_once(play: Any) -> None:
    async def story(desk: Desk) -> None:
        receiver, message = desk.receiver, await desk.post()
        await desk.rounds(3)
        assert receiver.seen == []
        async with receiver.up():
            receiver.status = 500
            await _round_after_wait(desk, message)
            receiver.status, receiver.delay = 204, NEVER
            await _round_after_wait(desk, message)
            receiver.status, receiver.delay = 302, 0
            await _round_after_wait(desk, message)
            assert receiver.accepted == []
            receiver.status = 204
            await desk.until_accepted(1)
            await desk.rounds(3)
        assert receiver.accepted == [message]
        assert {one["id"] for one in receiver.seen} == {message}
        assert set(receiver.seen[0]) == {"id", "to", "subject", "about", "at"}
        row = await desk.row(message)
        assert row.delivered_at is not None
        assert row.attempts >= 5
        assert await desk.recorded(message) == 1

    play(story)


def test_traitor_that_takes_any_answer_for_an_arrival_loses_the_message(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = Courier._tell

    async def hopeful(self: Courier, receiver: Any, message: Any) -> tuple[str | None, bool]:
        fault, away = await tell(self, receiver, message)
        return (None, False) if fault is not None and fault.startswith("status") else (fault, away)

    async def story(desk: Desk) -> None:
        message = await desk.post()
        desk.receiver.status = 500
        async with desk.receiver.up():
            await desk.rounds()
            desk.receiver.status = 204
            await desk.rounds(5)
        # It is on record as delivered, and the receiver never had it.
        assert await desk.recorded(message) == 1
        assert desk.receiver.accepted == []

    monkeypatch.setattr(Courier, "_tell", hopeful)
    play(story)


async def _round_after_wait(desk: Desk, message: str) -> None:
    before = (await desk.row(message)).attempts
    async with asyncio.timeout(10):
        while (await desk.row(message)).attempts == before:
            await desk.rounds()


def test_what_a_dead_worker_had_taken_is_brought_by_another_under_the_same_id(play: Any) -> None:
    async def story(desk: Desk) -> None:
        message = await desk.post()
        desk.receiver.delay = NEVER
        async with desk.receiver.up():
            worker = asyncio.create_task(desk.couriers[1].run())
            async with asyncio.timeout(5):
                while not desk.receiver.seen:
                    await asyncio.sleep(0.01)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            desk.receiver.delay = 0
            await desk.until_accepted(1)
        assert desk.receiver.accepted == [message]
        assert [one["id"] for one in desk.receiver.seen] == [message, message]

    play(story)


def test_dying_between_the_answer_and_its_record_tells_the_receiver_twice(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(desk: Desk) -> None:
        message = await desk.post()
        async with desk.receiver.up():
            with monkeypatch.context() as dying:
                dying.setattr(repository, "delivered", _dies)
                await desk.rounds()
            assert desk.receiver.accepted == [message]
            assert (await desk.row(message)).delivered_at is None
            await desk.until_accepted(2)
        assert desk.receiver.accepted == [message, message]
        assert await desk.recorded(message) == 1

    play(story)


async def _dies(tx: Transaction, message: str) -> int:
    raise RuntimeError("the worker dies here")


def test_three_workers_bring_each_message_once(play: Any) -> None:
    async def story(desk: Desk) -> None:
        messages = [await desk.post() for _ in range(30)]
        async with desk.receiver.up():
            for _ in range(3):
                await asyncio.gather(*(courier.look() for courier in desk.couriers))
                await asyncio.gather(*(courier.settled() for courier in desk.couriers))
        assert sorted(desk.receiver.accepted) == sorted(messages)

    play(story)


def test_one_agency_that_is_away_holds_up_nobody(play: Any) -> None:
    async def story(desk: Desk) -> None:
        slow = Receiver(delay=NEVER)
        courier = Courier(desk.work, desk.transport, desk.receivers, call_seconds=4.0)
        async with desk.receiver.up(), slow.up():
            desk.receivers.renew({"DOS": desk.receiver.url, "CBP": slow.url})
            for _ in range(20):
                await desk.post(to="CBP")
            message = await desk.post()
            await courier.look()
            # The other agency's first call alone takes longer than this.
            async with asyncio.timeout(3.5):
                while not desk.receiver.accepted:
                    await asyncio.sleep(0.01)
            await courier.settled()
        assert desk.receiver.accepted == [message]
        # Of the twenty, one was tried: the others would have met the same silence.
        assert len(slow.seen) == 1

    play(story)


def test_one_message_that_is_refused_does_not_hold_up_the_next(play: Any) -> None:
    async def story(desk: Desk) -> None:
        await desk.post()
        await desk.post()
        desk.receiver.status = 400
        async with desk.receiver.up():
            await desk.rounds()
        assert len(desk.receiver.seen) == 2

    play(story)


def test_a_message_is_signed_with_the_agency_s_own_secret(play: Any) -> None:
    async def story(desk: Desk) -> None:
        found = desk.receivers.find("DOS")
        assert found is not None
        desk.receiver.secret = found.secret()
        assert found.secret_file.stat().st_mode & 0o777 == 0o600
        async with desk.receiver.up():
            await desk.post()
            await desk.until_accepted(1)
            assert desk.receiver.forged == 0
            desk.receiver.secret = b"another agency's secret, or none"
            await desk.post()
            await desk.rounds()
        assert desk.receiver.forged == 1
        assert desk.receiver.lines[0] == "POST /inbox HTTP/1.1"

    play(story)


def test_without_an_address_it_waits_in_the_inbox_until_there_is_one(play: Any) -> None:
    async def story(desk: Desk) -> None:
        desk.receivers.renew({})
        message = await desk.post()
        officer = Actor(sub="olga", agency="DOS", roles=("release_officer",))
        async with desk.receiver.up():
            await desk.rounds(3)
            assert desk.receiver.seen == []
            assert [one.id for one in await desk.inbox.page(officer, "", 10, unread=True)] == [message]
            assert await desk.inbox.waiting() == []
            desk.receivers.renew({"DOS": desk.receiver.url})
            await desk.until_accepted(1)
        assert desk.receiver.accepted == [message]

    play(story)


def test_an_inbox_is_the_agency_s_own_and_shows_what_the_role_may_know(play: Any) -> None:
    async def story(desk: Desk) -> None:
        message, notice = await desk.post(), await desk.post(subject=Happened.NOTICE_RECORDED)
        inbox = desk.inbox
        officer, analyst, liaison, stranger = (
            Actor(sub="x", agency=agency, roles=(role,))
            for agency, role in (
                ("DOS", "release_officer"),
                ("DOS", "analyst"),
                ("DOS", "liaison"),
                ("CBP", "release_officer"),
            )
        )

        async def ids(actor: Actor, after: str = "", limit: int = 10) -> list[str]:
            return [one.id for one in await inbox.page(actor, after, limit, unread=False)]

        assert await ids(officer) == [message, notice]
        assert await ids(officer, limit=1) == [message]
        assert await ids(officer, after=message) == [notice]
        assert await ids(analyst) == [notice]
        assert await ids(liaison) == await ids(stranger) == []
        for actor, wanted in ((analyst, message), (stranger, message), (officer, new_id("ntf"))):
            with pytest.raises(NotFound):
                await inbox.read(actor, wanted)
        first = await inbox.read(officer, message)
        assert first.read_at is not None
        assert (await inbox.read(officer, message)).read_at == first.read_at
        assert [one.id for one in await inbox.page(officer, "", 10, unread=True)] == [notice]

    play(story)


def test_what_is_not_taken_is_counted_and_raises_an_alarm(play: Any) -> None:
    async def story(desk: Desk) -> None:
        message = await desk.post()
        async with desk.work.begin() as tx:
            await tx.write("UPDATE notification SET attempts = 10", ())
        with structlog.testing.capture_logs() as logs:
            await desk.rounds()
        assert [(one["log_level"], one["event"]) for one in logs] == [("error", "notification_undelivered")]
        (waiting,) = await desk.inbox.waiting()
        assert (waiting.agency, waiting.undelivered, waiting.attempts) == ("DOS", 1, 11)
        assert waiting.last_fault == "unreachable"
        wait = (await desk.row(message)).next_attempt_at - datetime.now(UTC)
        # Five milliseconds, doubled ten times, of which chance takes up to half.
        assert timedelta(seconds=2) < wait < timedelta(seconds=6)

    play(story)


def test_the_wait_grows_to_an_hour_and_no_further(play: Any) -> None:
    async def story(desk: Desk) -> None:
        message = await desk.post()
        async with desk.work.begin() as tx:
            await tx.write("UPDATE notification SET attempts = 100000", ())
        await desk.rounds()
        wait = (await desk.row(message)).next_attempt_at - datetime.now(UTC)
        assert timedelta(minutes=29) < wait <= timedelta(hours=1)

    play(story)


def test_every_message_has_readers() -> None:
    assert set(READERS) == set(Happened)
    assert all(READERS.values())


def test_an_act_that_does_not_commit_tells_nobody(play: Any) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(RuntimeError):
            await _told_and_undone(desk)
        async with desk.receiver.up():
            await desk.rounds(2)
        assert desk.receiver.seen == []

    play(story)


async def _told_and_undone(desk: Desk) -> None:
    about = {"permission_request": new_id("req")}
    async with desk.work.begin() as tx:
        message = Message(to=AgencyId("DOS"), subject=Happened.PERMISSION_REQUESTED, about=about, at=await tx.clock())
        await post(tx, message)
        raise RuntimeError("the act fails after it was told of")
