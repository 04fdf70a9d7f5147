"""One row says which policy is in force; decisions share-lock it, activation waits for them. On a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from broker.kernel.clock import FixedClock
from broker.policy.activation import PolicyInForce, activate, fetch, in_force, in_force_for_share, store
from broker.policy.bundle import PolicyBundle
from broker.policy.holder import Policies
from broker.policy.question import PolicyEngineFailure
from broker.policy.source import from_files
from broker.storage.database import engine_for
from broker.storage.unit_of_work import Transaction, UnitOfWork
from tests.support.policy_files import appended, lean, shipped, written
from tests.support.postgres import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = from_files(shipped())
SECOND = from_files(appended("owners/DOS.csv", "# für später – second"))

Read = Callable[[Transaction], Awaitable[str | None]]


@asynccontextmanager
async def units(database: Database) -> AsyncIterator[UnitOfWork]:
    engine = engine_for(database.app_url)
    try:
        yield UnitOfWork(engine)
    finally:
        await engine.dispose()


def with_units(database: Database, test: Callable[[UnitOfWork], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with units(database) as work:
            await test(work)

    asyncio.run(run())


async def put_in_force(work: UnitOfWork, bundle: PolicyBundle) -> str | None:
    async with work.begin() as tx:
        return await activate(tx, bundle, "tester")


def policies_in(folder: Path) -> Policies:
    return Policies(written(shipped(), folder), FixedClock(NOW))


def test_before_the_first_activation_nothing_may_be_decided(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(work: UnitOfWork) -> None:
        policies = PolicyInForce(policies_in(tmp_path))
        with capture_logs() as logs:
            async with work.begin() as tx:
                assert await in_force(tx) is None
                assert await in_force_for_share(tx) is None
                assert await policies.locked(tx) is None
                assert await policies.unlocked(tx) is None
        assert [log["alarm"] for log in logs] == [True, True]

    with_units(fresh_postgres, test)


def test_activation_keeps_the_files_for_good_and_says_what_it_replaced(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork) -> None:
        assert await put_in_force(work, FIRST) is None
        assert await put_in_force(work, SECOND) == FIRST.digest
        assert await put_in_force(work, SECOND) == SECOND.digest
        async with work.begin() as tx:
            assert await in_force(tx) == SECOND.digest
            for bundle in (FIRST, SECOND):
                # Byte for byte, so that the digest can be computed again.
                assert await fetch(tx, bundle.digest) == dict(bundle.files)
            with pytest.raises(PolicyEngineFailure):
                await fetch(tx, "sha256:nobody")

    with_units(fresh_postgres, test)
    with fresh_postgres.owner() as owner:
        assert owner.execute("SELECT digest, activated_by FROM policy_in_force").fetchall() == [
            (SECOND.digest, "tester")
        ]


def test_several_first_activations_at_once_leave_one_row(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork) -> None:
        await asyncio.gather(*(put_in_force(work, bundle) for bundle in (FIRST, SECOND, FIRST, SECOND)))
        async with work.begin() as tx:
            assert await in_force(tx) in {FIRST.digest, SECOND.digest}

    with_units(fresh_postgres, test)


async def activation_waits(work: UnitOfWork, read: Read) -> bool:
    """Whether an activation waits for a decision that has read the digest by *read* and not committed yet."""
    await put_in_force(work, FIRST)
    async with work.begin() as deciding:
        assert await read(deciding) == FIRST.digest
        activation = asyncio.create_task(put_in_force(work, SECOND))
        done, _ = await asyncio.wait({activation}, timeout=0.5)
        waited = not done
        # Another decision is not held up by the first one, nor by the activation in the queue for long.
        assert await read(deciding) == (FIRST.digest if waited else SECOND.digest)
    await asyncio.wait_for(activation, timeout=10)
    async with work.begin() as later:
        assert await read(later) == SECOND.digest
    return waited


def test_an_activation_waits_for_the_decisions_under_way(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork) -> None:
        assert await activation_waits(work, in_force_for_share)

    with_units(fresh_postgres, test)


def test_traitor_a_decision_that_reads_without_the_lock_is_overtaken(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork) -> None:
        assert not await activation_waits(work, in_force)

    with_units(fresh_postgres, test)


def test_decisions_do_not_wait_for_each_other(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork) -> None:
        await put_in_force(work, FIRST)
        async with work.begin() as one, work.begin() as other:
            assert await in_force_for_share(one) == FIRST.digest
            assert await asyncio.wait_for(in_force_for_share(other), timeout=5) == FIRST.digest

    with_units(fresh_postgres, test)


def test_a_process_decides_under_what_another_one_put_in_force(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(work: UnitOfWork) -> None:
        own = policies_in(tmp_path)
        await put_in_force(work, own.current.bundle)
        policies = PolicyInForce(own)
        async with work.begin() as tx:
            assert await policies.locked(tx) is own.current
        await put_in_force(work, SECOND)
        async with work.begin() as tx:
            fetched = await policies.locked(tx)
            assert fetched is not None
            assert fetched.digest == SECOND.digest
            assert own.current.digest == FIRST.digest
            # Built once.
            assert await policies.unlocked(tx) is fetched

    with_units(fresh_postgres, test)


def test_files_changed_in_the_database_are_found_out_and_nothing_is_decided(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(work: UnitOfWork) -> None:
        await put_in_force(work, SECOND)
        with fresh_postgres.owner() as owner:
            owner.execute(
                "UPDATE policy_bundle SET files = jsonb_set(files, '{owners/DOS.csv}', to_jsonb(%s::text))",
                ["p, DOS, any, release, criminal_investigation, any, nothing, allow\n"],
            )
        with capture_logs() as logs:
            async with work.begin() as tx:
                assert await PolicyInForce(policies_in(tmp_path)).locked(tx) is None
        assert all(log["alarm"] for log in logs)
        assert logs

    with_units(fresh_postgres, test)


def test_a_policy_without_its_suites_passing_is_kept_on_record_and_never_decides(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    # Nobody activates what `prepare` refused; should it happen, the next process still refuses.
    untried = from_files(lean(shipped()))

    async def test(work: UnitOfWork) -> None:
        await put_in_force(work, untried)
        async with work.begin() as tx:
            assert await PolicyInForce(policies_in(tmp_path)).locked(tx) is None

    with_units(fresh_postgres, test)


def test_the_service_may_add_a_policy_and_change_none(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork) -> None:
        async with work.begin() as tx:
            await store(tx, FIRST, "tester")
            await store(tx, FIRST, "somebody else")

    with_units(fresh_postgres, test)
    with fresh_postgres.service() as service:
        for statement in (
            "UPDATE policy_bundle SET loaded_by = 'x'",
            "DELETE FROM policy_bundle",
            "TRUNCATE policy_bundle CASCADE",
            "DELETE FROM policy_in_force",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(statement)
        assert service.execute("SELECT loaded_by FROM policy_bundle").fetchall() == [("tester",)]
