"""Whose folder decides: the last change by an author, and never a folder that merely is older. On a real PostgreSQL."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg
import pytest

from broker.policy.activation import CHANNEL, Considered, HostFolder, activate, consider, in_force
from broker.policy.bundle import PolicyBundle
from broker.policy.source import from_files
from broker.storage.database import conninfo_for, engine_for
from broker.storage.listening import Listener
from broker.storage.unit_of_work import UnitOfWork
from tests.support.policy_files import appended, shipped
from tests.support.postgres import Database

OLD = from_files(shipped())
NEW = from_files(appended("owners/DOS.csv", "# changed"))
NEWEST = from_files(appended("owners/DOS.csv", "# changed again"))
A, B = HostFolder("host-a", "/policies"), HostFolder("host-b", "/policies")

Do = Callable[..., Coroutine[Any, Any, Considered]]


def with_folders(database: Database, test: Callable[[UnitOfWork, Do], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        engine = engine_for(database.app_url)
        work = UnitOfWork(engine)

        async def look(folder: HostFolder, says: PolicyBundle, *, running: bool = False) -> Considered:
            async with work.begin() as tx:
                return await consider(tx, says, folder, "tester", running=running)

        try:
            await test(work, look)
        finally:
            await engine.dispose()

    asyncio.run(run())


async def undone(work: UnitOfWork) -> None:
    """An activation whose transaction fails."""
    async with work.begin() as tx:
        await activate(tx, OLD, "tester")
        raise ZeroDivisionError


async def digest(work: UnitOfWork) -> str | None:
    async with work.begin() as tx:
        return await in_force(tx)


def test_the_first_folder_of_all_decides(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork, look: Do) -> None:
        assert await look(A, OLD) == Considered(OLD.digest, None, activated=True)
        assert await digest(work) == OLD.digest

    with_folders(fresh_postgres, test)


def test_a_host_that_starts_with_an_older_folder_follows(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork, look: Do) -> None:
        await look(A, OLD)
        await look(B, OLD)
        assert (await look(A, NEW, running=True)).activated
        # B is started anew, with the folder it always had; so is a host that was never seen before.
        for host in (B, HostFolder("host-c", "/policies")):
            assert await look(host, OLD) == Considered(NEW.digest, NEW.digest, activated=False)
        assert await digest(work) == NEW.digest

    with_folders(fresh_postgres, test)


def test_traitor_that_activates_at_each_start_is_caught(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork, look: Do) -> None:
        await look(A, OLD)
        await look(A, NEW, running=True)
        async with work.begin() as tx:
            await activate(tx, OLD, "a start")
        assert await digest(work) != NEW.digest

    with_folders(fresh_postgres, test)


def test_a_change_while_the_service_was_down_counts_unless_others_decided_since(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork, look: Do) -> None:
        await look(A, OLD)
        await look(B, OLD)
        assert (await look(A, NEW)).activated  # A was edited while down; what it had said was in force.
        assert not (await look(B, NEWEST)).activated  # B was, too; but A's author has decided since.
        assert await digest(work) == NEW.digest
        # And it is not taken for a change again at the next start.
        assert not (await look(B, NEWEST)).activated

    with_folders(fresh_postgres, test)


def test_the_last_author_s_word_holds_and_is_acted_upon_once(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork, look: Do) -> None:
        await look(A, OLD)
        await look(B, OLD)
        assert (await look(A, NEW, running=True)).activated
        assert (await look(B, NEWEST, running=True)).activated
        # A second process of host A sees its author's change only now: it has been acted upon, and B's came later.
        assert await look(A, NEW, running=True) == Considered(NEWEST.digest, NEWEST.digest, activated=False)
        assert await digest(work) == NEWEST.digest

    with_folders(fresh_postgres, test)


def test_a_folder_changed_to_what_is_in_force_changes_nothing(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork, look: Do) -> None:
        await look(A, OLD)
        await look(B, OLD)
        await look(A, NEW, running=True)
        assert not (await look(B, NEW, running=True)).activated
        assert await digest(work) == NEW.digest

    with_folders(fresh_postgres, test)


def test_who_listens_hears_of_an_activation_after_its_commit_and_not_of_one_undone(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork, look: Do) -> None:
        heard = asyncio.Event()
        listening = asyncio.create_task(Listener(conninfo_for(fresh_postgres.app_url), CHANNEL, heard).run())
        try:
            await asyncio.wait_for(heard.wait(), 10)  # It listens.
            heard.clear()
            with pytest.raises(ZeroDivisionError):
                await undone(work)
            await asyncio.sleep(0.2)
            assert not heard.is_set()
            async with work.begin() as tx:
                await activate(tx, OLD, "tester")
                await asyncio.sleep(0.1)
                assert not heard.is_set()
            await asyncio.wait_for(heard.wait(), 5)
            # The connection is lost: what was said meanwhile is looked for when it is there again.
            heard.clear()
            with psycopg.connect(fresh_postgres.admin_url, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND query LIKE 'LISTEN%%'",
                    [fresh_postgres.name],
                )
            await asyncio.wait_for(heard.wait(), 10)
        finally:
            listening.cancel()

    with_folders(fresh_postgres, test)
