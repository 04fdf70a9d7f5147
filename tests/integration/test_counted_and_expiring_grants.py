"""What is counted is counted once each, and what has expired while a decision waited has expired."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from broker.decision.loader import Loader
from broker.decision.model import Facts, Question
from broker.grants import repository
from broker.grants.model import Grant
from broker.items.reader import Stored
from broker.kernel.errors import NotFound
from broker.kernel.ids import CaseId, ItemId
from broker.policy.snapshot import PolicySnapshot
from broker.release.model import Release
from broker.release.service import Refused
from broker.storage.unit_of_work import Transaction
from tests.support.postgres import Database
from tests.support.workplace import Workplace, codes, workplace

USES = 7
NOBODY_HAS = "0" * 64


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]], loader: type[Loader] = Loader) -> Any:
    async def run() -> Any:
        async with workplace(database, loader) as place:
            return await test(place)

    return asyncio.run(run())


async def forty_at_once(place: Workplace) -> tuple[list[Any], int, int]:
    """Answers to forty releases under a grant for seven; the uses on record, and the releases on record."""
    case = await place.case()
    item = await place.item(case, "DOS")
    granted = await place.grant("DOS", item, max_uses=USES)
    answers = await asyncio.gather(*(place.release(case, item) for _ in range(40)), return_exceptions=True)
    async with place.work.begin() as tx:
        uses = (await repository.fetch(tx, [granted.id]))[0].uses
        counted = await tx.execute(text("SELECT count(*) FROM release WHERE item_id = :item"), {"item": item})
        return answers, uses, int(counted.scalar_one())


class CountingUnlocked(Loader):
    """The traitor: a counted grant is read without its lock, so everybody sees uses left."""

    async def _grants(self, tx: Transaction, requests: Any, trees: Any, **how: Any) -> tuple[Grant, ...]:
        del how
        found = await repository.fetch(tx, await repository.find(tx, requests, trees))
        await asyncio.sleep(0.05)
        return found


def test_forty_concurrent_releases_use_a_grant_exactly_as_often_as_it_allows(postgres: Database) -> None:
    answers, uses, made = at_work(postgres, forty_at_once)
    assert not [one for one in answers if isinstance(one, BaseException)]
    permitted = [one for one in answers if isinstance(one, Release)]
    refused = [one for one in answers if isinstance(one, Refused)]
    assert (len(permitted), uses, made) == (USES, USES, USES)
    assert all("grant_exhausted" in codes(one) for one in refused)


def test_traitor_that_counts_without_the_lock_is_caught(postgres: Database) -> None:
    answers, _, made = at_work(postgres, forty_at_once, CountingUnlocked)
    permitted = [one for one in answers if isinstance(one, Release)]
    assert len(permitted) > USES
    assert made > USES


def test_a_replay_is_no_second_use(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        granted = await place.grant("DOS", item, max_uses=1)
        first = await place.release(case, item, key="same")
        again = await place.release(case, item, key="same")
        assert isinstance(first, Release)
        assert isinstance(again, Release)
        assert first.id == again.id
        other = await place.release(case, item, key="other")
        assert "grant_exhausted" in codes(other)
        async with place.work.begin() as tx:
            assert (await repository.fetch(tx, [granted.id]))[0].uses == 1

    at_work(postgres, test)


async def expired_while_waiting(place: Workplace, database: Database) -> Release | Refused:
    """A release that has to wait for the grant's row until the grant has expired."""
    case = await place.case()
    item = await place.item(case, "DOS")
    until = datetime.now(UTC) + timedelta(seconds=0.8)
    granted = await place.grant("DOS", item, valid_until=until)
    async with await psycopg.AsyncConnection.connect(database.owner_url) as blocker:
        await blocker.execute("SELECT 1 FROM permission_grant WHERE id = %s FOR UPDATE", [granted.id])
        releasing = asyncio.create_task(place.release(case, item))
        await _waits(blocker)
        await asyncio.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 0.05)
        assert not releasing.done()
        await blocker.rollback()
    return await releasing


async def _waits(watch: "psycopg.AsyncConnection[Any]") -> None:
    """Until somebody waits for us."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    for _ in range(200):
        row = await (await watch.execute(waiting)).fetchone()
        if row is not None and row[0]:
            return
        await asyncio.sleep(0.02)
    pytest.fail("nobody waited for the lock")


class ClockBeforeLocks(Loader):
    """The traitor: it tells the time by the start of the transaction, which was before it waited for its locks."""

    async def facts(
        self, tx: Transaction, question: Question, stored: Stored, policy: PolicySnapshot, **how: Any
    ) -> Facts:
        facts = await super().facts(tx, question, stored, policy, **how)
        facts.now = (await tx.execute(text("SELECT now()"))).scalar_one()
        return facts


def test_a_grant_that_expired_while_the_decision_waited_has_expired(postgres: Database) -> None:
    answer = at_work(postgres, lambda place: expired_while_waiting(place, postgres))
    assert isinstance(answer, Refused)
    assert codes(answer) >= {"permission_missing", "grant_expired"}


def test_traitor_that_reads_the_clock_before_its_locks_is_caught(postgres: Database) -> None:
    answer = at_work(postgres, lambda place: expired_while_waiting(place, postgres), ClockBeforeLocks)
    assert isinstance(answer, Release)


def test_a_release_waits_for_an_activation_and_then_decides_under_the_new_policy_or_not_at_all(
    postgres: Database,
) -> None:
    """Here the new one cannot be had, so nothing is decided: the old one is not fallen back on."""

    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item)
        async with (
            await psycopg.AsyncConnection.connect(postgres.owner_url) as activation,
            await psycopg.AsyncConnection.connect(postgres.owner_url, autocommit=True) as watch,
        ):
            await activation.execute(
                "INSERT INTO policy_bundle (digest, files, loaded_at, loaded_by)"
                " VALUES (%s, '{}', now(), 'tests') ON CONFLICT DO NOTHING",
                [NOBODY_HAS],
            )
            await activation.execute("UPDATE policy_in_force SET digest = %s", [NOBODY_HAS])
            releasing = asyncio.create_task(place.release(case, item))
            await asyncio.sleep(0.2)
            assert not releasing.done()
            await activation.commit()
            # A policy that cannot be had is no policy: not even looking is permitted, so there is no such item.
            with pytest.raises(NotFound):
                await releasing
            last = "SELECT outcome, reasons FROM decision WHERE item_id = %s ORDER BY at DESC LIMIT 1"
            row = await (await watch.execute(last, [item])).fetchone()
            assert row is not None
            assert (row[0], [one["code"] for one in row[1]]) == ("deny", ["engine_failure"])
            await watch.execute("UPDATE policy_in_force SET digest = %s", [place.policy.digest])

    at_work(postgres, test)


def test_two_partial_grants_never_add_up(postgres: Database) -> None:
    """One lets the item go for another purpose, one to another recipient, one later: together they permit nothing."""

    async def test(place: Workplace) -> None:
        case: CaseId = await place.case()
        item: ItemId = await place.item(case, "DOS")
        later = datetime.now(UTC) + timedelta(days=1)
        await place.grant("DOS", item, purposes=("threat_to_life",))
        await place.grant("DOS", item, recipients=("DOJ",))
        await place.grant("DOS", item, valid_from=later)
        await place.grant("DOS", item, fields=("/title",))
        answer = await place.release(case, item)
        assert codes(answer) == {"permission_missing"}

    at_work(postgres, test)
