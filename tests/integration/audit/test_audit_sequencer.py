"""Every committed act gets one leaf, in whatever order it commits; and nothing is signed over a tampered tree."""

import asyncio
import random
import re
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.audit import sequencer
from broker.audit.checkpoint import Signer
from broker.audit.nodes import TreeBroken
from broker.audit.reader import standing
from broker.audit.recorder import record
from broker.audit.sequencer import run_sequencer, sequence_once
from tests.integration.audit.audit_log import act

DOCUMENTATION = Path(__file__).resolve().parents[3] / "docs" / "audit.md"
WRITERS = 8
ACTS = 30

# Traitors: each looks right, and each passes rows over.
BY_ID_ALONE = sequencer._DUE.replace(
    b"(e.xact, e.id) > (CAST(%(xact)s::text AS xid8), %(entry)s::int8)", b"e.id > %(entry)s"
)
BY_ID_ALONE = BY_ID_ALONE.replace(b"AND e.xact < pg_snapshot_xmin(pg_current_snapshot())", b"")
BY_ID_ALONE = BY_ID_ALONE.replace(b"ORDER BY e.xact, e.id", b"ORDER BY e.id")
WITHOUT_HORIZON = sequencer._DUE.replace(b"AND e.xact < pg_snapshot_xmin(pg_current_snapshot())", b"")


def unsequenced(database):
    return database.sql(
        "SELECT count(*) FROM audit_entry e WHERE NOT EXISTS (SELECT FROM audit_leaf l WHERE l.entry_id = e.id)"
    )[0][0]


def write(database, *numbers):
    async def go():
        async with database.work() as work:
            for number in numbers:
                async with work.begin() as tx:
                    await record(tx, act(number))

    asyncio.run(go())


def sequence(database, signer, **options):
    async def go():
        async with database.work() as work:
            return await sequence_once(work, signer, **options)

    return asyncio.run(go())


def write_while_sequencing(database, signer, seed):
    """Writers that commit late and in another order than they began, some never, while the sequencer runs."""

    async def write(work, luck, number):
        for _ in range(ACTS):
            with suppress(ZeroDivisionError):
                async with work.begin() as tx:
                    for _ in range(luck.randint(1, 3)):
                        await record(tx, act(number))
                        await asyncio.sleep(luck.random() * 0.01)
                    if luck.random() < 0.1:
                        raise ZeroDivisionError
            number += WRITERS

    async def go():
        luck = random.Random(seed)
        async with database.work(pool_size=WRITERS + 2) as work:
            async with asyncio.TaskGroup() as group:
                sequencers = [asyncio.create_task(run_sequencer(work, signer, every=0.002)) for _ in range(2)]
                for number in range(WRITERS):
                    group.create_task(write(work, random.Random(luck.random()), number))
            for task in sequencers:
                task.cancel()
            await asyncio.gather(*sequencers, return_exceptions=True)
            while await sequence_once(work, signer):
                pass

    asyncio.run(go())


def test_nothing_to_sequence(database, signer):
    assert sequence(database, signer) == 0
    assert database.sql("SELECT count(*) FROM audit_checkpoint") == [(0,)]
    assert database.report(signer).model_dump() == {"entries": 0, "pending": 0, "faults": ()}


def test_in_batches_with_a_checkpoint_for_each(database, signer):
    async def go():
        async with database.work() as work:
            async with work.begin() as tx:
                for number in range(25):
                    await record(tx, act(number))
            return [await sequence_once(work, signer, batch=10) for _ in range(4)]

    assert asyncio.run(go()) == [10, 10, 5, 0]
    assert database.sql("SELECT size, since FROM audit_checkpoint ORDER BY size") == [(10, 0), (20, 10), (25, 20)]
    report = database.report(signer)
    assert (report.entries, report.pending, report.faults) == (25, 0, ())


def test_no_row_is_missed_or_doubled_by_writers_that_commit_late(database, signer):
    write_while_sequencing(database, signer, seed=1)
    [(written,)] = database.sql("SELECT count(*) FROM audit_entry")
    assert written > WRITERS * ACTS
    assert unsequenced(database) == 0
    assert database.sql("SELECT count(*), count(DISTINCT entry_id), max(index) + 1 FROM audit_leaf") == [
        (written, written, written)
    ]
    # The order did differ from that of the ids, or this would show nothing.
    [(late,)] = database.sql(
        "SELECT count(*) FROM (SELECT entry_id < lag(entry_id) OVER (ORDER BY index) AS late FROM audit_leaf) WHERE late"
    )
    assert late > 0
    report = database.report(signer)
    assert (report.entries, report.pending, report.faults) == (written, 0, ())


@pytest.mark.parametrize("traitor", [BY_ID_ALONE, WITHOUT_HORIZON], ids=["by id alone", "without the horizon"])
def test_traitor_a_sequencer_without_the_horizon_passes_rows_over(database, signer, monkeypatch, traitor):
    assert traitor != sequencer._DUE
    monkeypatch.setattr(sequencer, "_DUE", traitor)
    write_while_sequencing(database, signer, seed=1)
    # What it has passed over it never comes back to, and the verifier says of each row that it lies behind.
    write(database, 1)
    assert sequence(database, signer) == 1
    missed = unsequenced(database)
    assert missed > 0
    report = database.report(signer)
    assert [fault.kind.value for fault in report.faults] == ["entry_slipped_in"] * missed
    assert report.pending == 0


@pytest.mark.parametrize("traitor", [None, BY_ID_ALONE, WITHOUT_HORIZON], ids=["ours", "by id", "without the horizon"])
def test_a_smaller_id_that_commits_after_a_larger_one(database, signer, monkeypatch, traitor):
    if traitor:
        monkeypatch.setattr(sequencer, "_DUE", traitor)

    async def go():
        async with database.work() as work:
            async with work.begin() as early:
                await record(early, act(1))
                async with work.begin() as late:
                    await record(late, act(2))
                first = await sequence_once(work, signer)
                async with work.begin() as tx:
                    waiting = await standing(tx)
            return first, waiting, await sequence_once(work, signer)

    first, waiting, second = asyncio.run(go())
    if traitor:
        assert (first, second, unsequenced(database)) == (1, 0, 1)
    else:
        # The open transaction holds the later one back: pending, in its place, and then both.
        assert (first, waiting.sequenced, waiting.pending, second) == (0, 0, 1, 2)
        assert waiting.oldest_pending is not None
        assert database.sql("SELECT entry_id FROM audit_leaf ORDER BY index") == [(1,), (2,)]


def test_what_is_held_back_is_pending_and_no_fault(database, signer):
    database.fill(signer, 3)
    with psycopg.connect(database.admin_url) as other:
        other.execute("SELECT pg_current_xact_id()")

        async def go():
            async with database.work() as work:
                async with work.begin() as tx:
                    await record(tx, act(9))
                return await sequence_once(work, signer)

        assert asyncio.run(go()) == 0
        report = database.report(signer)
        assert (report.entries, report.pending, report.faults) == (4, 1, ())
    assert sequence(database, signer) == 1
    assert database.report(signer).pending == 0


def test_a_transaction_that_only_reads_holds_nothing_back(database, signer):
    with psycopg.connect(database.admin_url) as other:
        other.execute("SELECT count(*) FROM audit_entry")
        database.fill(signer, 2)


def test_one_leader(database, signer):
    with psycopg.connect(database.app_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (sequencer._LEADER,))

        async def go():
            async with database.work() as work:
                async with work.begin() as tx:
                    await record(tx, act(1))
                return await sequence_once(work, signer)

        assert asyncio.run(go()) == 0
    assert sequence(database, signer) == 1


def test_finding_what_is_due_does_not_scan_the_table(database, signer):
    database.fill(signer, 1)
    # As many entries as a year may bring would take long to make; the plan is what matters.
    database.sql(
        "INSERT INTO audit_entry (event_id, tag, actor_sub, actor_agency, actor_roles, actor_kind, subjects, detail)"
        " SELECT 'evt_' || n, 'a:b:c', 's', 'g', '{}', 'person', '{}', '{}' FROM generate_series(1, 20000) AS n"
    )
    while sequence(database, signer):
        pass
    database.sql("ANALYZE audit_entry")
    [(xact, entry)] = database.sql("SELECT xact::text, entry_id FROM audit_leaf ORDER BY index DESC LIMIT 1")
    query = sequencer._DUE.decode().replace("%(xact)s", f"'{xact}'").replace("%(entry)s", f"{entry}")
    plan = database.sql("EXPLAIN ANALYZE " + query.replace("%(batch)s", "2000"))
    lines = [line for (line,) in plan]
    assert any("audit_entry_order" in line for line in lines), lines
    assert not any("Seq Scan" in line or "Rows Removed" in line for line in lines), lines


TAMPERINGS = {
    "a forged leaf at the end": (
        "INSERT INTO audit_leaf SELECT 5, entry_id + 1000, xact, leaf_hash FROM audit_leaf WHERE index = 4",
        "leaves are stored",
    ),
    "a node on the right edge": ("UPDATE audit_node SET hash = sha256('') WHERE level = 2", "do not give the root"),
    "a missing node": ("DELETE FROM audit_node WHERE level = 2", "do not give the root"),
    "a signature": ("UPDATE audit_checkpoint SET signature = sha256(''::bytea) || sha256('')", "not signed by"),
    "a root": ("UPDATE audit_checkpoint SET root = sha256('')", "not signed by"),
    "no checkpoint": ("DELETE FROM audit_checkpoint", "without a checkpoint"),
    "no leaves": ("DELETE FROM audit_leaf", "without a checkpoint"),
    "the end cut off": ("DELETE FROM audit_leaf WHERE index > 2", "leaves are stored"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_nothing_is_signed_over_a_tree_that_does_not_agree_with_the_last_signature(database, signer, tampering):
    statement, message = TAMPERINGS[tampering]
    database.fill(signer, 5)
    with psycopg.connect(database.owner_url) as connection:
        for table in ("leaf", "node", "checkpoint"):
            connection.execute(f"ALTER TABLE audit_{table} DISABLE TRIGGER USER".encode())
        assert connection.execute(statement.encode()).rowcount > 0
    with pytest.raises(TreeBroken, match=message):
        sequence(database, signer)


def test_another_key_does_not_go_on_where_the_first_one_stopped(database, signer):
    database.fill(signer, 3)
    other = Ed25519PrivateKey.generate()
    with pytest.raises(TreeBroken, match="earlier one"):
        sequence(database, Signer(other))
    # A key that is said to have been used earlier does no harm, and the log then has both.
    changed = Signer(other, earlier=[signer.public_key])
    database.fill(changed, 2)
    assert database.report(changed).faults == ()
    assert {fault.kind for fault in database.report(signer).faults} == {"checkpoint_signature"}


def test_a_log_restored_into_a_younger_server_goes_on_after_what_the_documentation_says(database, signer):
    database.fill(signer, 2)
    with psycopg.connect(database.owner_url) as connection:
        for table, key in (("leaf", "index"), ("entry", "id")):
            connection.execute(f"ALTER TABLE audit_{table} DISABLE TRIGGER USER".encode())
            connection.execute(
                f"UPDATE audit_{table} SET xact = (pg_current_xact_id()::text::int8 + 2000)::text::xid8"
                f" WHERE {key} = (SELECT max({key}) FROM audit_{table})".encode()
            )
    with pytest.raises(TreeBroken, match="has not happened yet"):
        sequence(database, signer)
    remedy = re.search(r"^    DO .*?^    END \$\$$", DOCUMENTATION.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(remedy.group().encode())
    write(database, 3)
    assert sequence(database, signer) == 1


def test_the_loop_survives_failures_and_catches_up(database, signer, monkeypatch):
    failing = [True, True]

    async def sometimes(work, signer):
        if failing:
            failing.pop()
            raise ConnectionError("the database is away")
        return await sequence_once(work, signer)

    monkeypatch.setattr(sequencer, "sequence_once", sometimes)

    async def go():
        async with database.work() as work:
            async with work.begin() as tx:
                await record(tx, act(1))
            task = asyncio.create_task(run_sequencer(work, signer, every=0.001))
            for _ in range(400):
                await asyncio.sleep(0.01)
                async with work.begin() as tx:
                    if (await standing(tx)).sequenced:
                        break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(go())
    assert not failing
    assert unsequenced(database) == 0
