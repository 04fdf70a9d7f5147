"""Whoever changes the log is found, and what they changed is named."""

import asyncio
import tracemalloc
from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.audit import comparison
from broker.audit import verify as verify_module
from broker.audit.checkpoint import ROW, Checkpoint, Signer
from broker.audit.verify import verify
from tests.integration.audit.audit_log import snapshot
from tests.integration.audit.tampering import EDITS, Attack, cut_off, edit, insert, rebuild, swap, tampered

BATCHES = (7, 1, 12, 3, 20, 10)
SIZE = sum(BATCHES)
CHECKPOINTS = [sum(BATCHES[: count + 1]) for count in range(len(BATCHES))]


@pytest.fixture(scope="module")
def key():
    return Signer(Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def log(empty_audit, key):
    """A log with several checkpoints; nobody commits anything to it."""
    database = empty_audit.copy()
    database.fill(key, *BATCHES)
    return database


@pytest.fixture(scope="module")
def held(log):
    """What an owner keeps: the newest checkpoint."""
    return checkpoint_of(log, SIZE)


def checkpoint_of(log, size):
    row = log.sql(f"SELECT {ROW} FROM audit_checkpoint WHERE size = {size}")[0]
    return Checkpoint.of_row(row)


def verified(log, key, attack, held=None):
    """The report after the coroutine function *attack* has had its way."""

    async def go():
        async with tampered(log) as connection:
            await attack(connection)
            return await verify(connection, key.public_keys, held)

    return asyncio.run(go())


def kinds(report):
    return Counter(fault.kind.value for fault in report.faults)


def event_id(log, entry):
    return log.sql(f"SELECT event_id FROM audit_entry WHERE id = {entry}")[0][0]


def stretch_of(index):
    """The checkpoints around a leaf."""
    end = next(size for size in CHECKPOINTS if index < size)
    return ([0, *CHECKPOINTS][CHECKPOINTS.index(end)], end - 1)


def test_an_untouched_log_has_no_faults(log, key, held):
    report = log.report(key, held)
    assert report.model_dump() == {"entries": SIZE, "pending": 0, "faults": ()}
    for size in CHECKPOINTS:
        assert log.report(key, checkpoint_of(log, size)).faults == ()


@pytest.mark.parametrize(("column", "value"), [(column, value) for column in EDITS for value in EDITS[column]])
def test_a_change_of_any_column_of_an_entry_is_named(log, key, column, value):
    entry = 20
    report = verified(log, key, lambda connection: edit(connection, entry, column, value))
    [named] = [fault for fault in report.faults if fault.kind in ("entry_altered", "entry_missing")]
    assert (named.index, named.entry_id) == (entry - 1, entry)
    if column not in ("id", "event_id"):
        assert named.event_id == event_id(log, entry)
        assert kinds(report) == {"entry_altered": 1, "checkpoint_mismatch": 1}
        [stretch] = [fault for fault in report.faults if fault.kind == "checkpoint_mismatch"]
        assert (stretch.index, stretch.last_index) == stretch_of(entry - 1)


def test_all_faults_are_named_not_only_the_first(log, key):
    async def attack(connection):
        for entry in (3, 4, 30, 50):
            await edit(connection, entry, "tag", "'other'")
        await connection.execute("DELETE FROM audit_entry WHERE id IN (10, 40)")

    report = verified(log, key, attack)
    named = {(fault.kind.value, fault.entry_id) for fault in report.faults if fault.entry_id}
    assert named == {("entry_altered", entry) for entry in (3, 4, 30, 50)} | {
        ("entry_missing", entry) for entry in (10, 40)
    }
    stretches = {(fault.index, fault.last_index) for fault in report.faults if fault.kind == "checkpoint_mismatch"}
    assert stretches == {stretch_of(entry - 1) for entry in (3, 4, 30, 50)}
    assert report.entries == SIZE - 2


def test_entries_altered_together_with_leaf_and_nodes_are_caught_by_the_signature(log, key):
    async def attack(connection):
        for entry in (9, 45):
            await edit(connection, entry, "tag", "'other'")
        await rebuild(connection)

    report = verified(log, key, attack)
    # Each altered stretch is named, the second one too, though every root after the first is another.
    assert [(fault.kind.value, fault.index, fault.last_index) for fault in report.faults] == [
        ("checkpoint_mismatch", *stretch_of(8)),
        ("checkpoint_mismatch", *stretch_of(44)),
    ]


def test_new_roots_without_the_key_are_caught_by_the_signature(log, key):
    async def attack(connection):
        await edit(connection, 9, "tag", "'other'")
        await rebuild(connection, roots=True)

    report = verified(log, key, attack)
    assert {"checkpoint_signature"} == set(kinds(report))
    # Every later checkpoint has another root; the one in whose stretch it happened is the first.
    assert (report.faults[0].index, report.faults[0].last_index) == stretch_of(8)


def test_with_the_key_only_a_held_checkpoint_tells(log, key, held):
    async def attack(connection):
        await edit(connection, 9, "tag", "'other'")
        await rebuild(connection, key)

    assert verified(log, key, attack).faults == ()
    assert kinds(verified(log, key, attack, held)) == {"held_mismatch": 1}
    # One that was signed before the altered entry does not tell, one that was signed right after it does.
    assert verified(log, key, attack, checkpoint_of(log, CHECKPOINTS[1])).faults == ()
    assert kinds(verified(log, key, attack, checkpoint_of(log, CHECKPOINTS[2]))) == {"held_mismatch": 1}


def test_a_log_cut_off_cleanly_is_caught_by_a_held_checkpoint_alone(log, key, held):
    async def attack(connection):
        await cut_off(connection, CHECKPOINTS[2])

    report = verified(log, key, attack)
    assert report.model_dump() == {"entries": CHECKPOINTS[2], "pending": 0, "faults": ()}
    [fault] = verified(log, key, attack, held).faults
    assert (fault.kind, fault.index, fault.last_index) == ("held_beyond", CHECKPOINTS[2], SIZE - 1)


def test_a_log_emptied_is_caught_by_a_held_checkpoint_alone(log, key, held):
    async def attack(connection):
        await cut_off(connection, 0)

    assert verified(log, key, attack).faults == ()
    assert kinds(verified(log, key, attack, held)) == {"held_beyond": 1}


def test_a_missing_end_that_was_signed_is_named_without_a_held_checkpoint(log, key):
    async def attack(connection):
        await connection.execute("DELETE FROM audit_leaf WHERE index > 45")
        await connection.execute("DELETE FROM audit_entry WHERE id > 46")

    report = verified(log, key, attack)
    assert kinds(report)["checkpoint_beyond"] == 1
    assert kinds(report)["leaf_unsigned"] == 1


def test_traitor_a_verifier_that_takes_what_is_there_for_all_there_was_is_caught(log, key, held, monkeypatch):
    """The last row is dropped, and a checkpoint of more than there is passes for one that is yet to come."""
    honest = verify_module._compare

    def short_sighted(comparison, stored):
        beyond = isinstance(stored, Checkpoint | verify_module.Held)
        size = getattr(stored, "checkpoint", stored).size if beyond else 0
        if size <= comparison._size:
            honest(comparison, stored)

    monkeypatch.setattr(verify_module, "_compare", short_sighted)
    with pytest.raises((AssertionError, ValueError)):
        test_a_log_cut_off_cleanly_is_caught_by_a_held_checkpoint_alone(log, key, held)
    with pytest.raises(AssertionError):
        test_a_missing_end_that_was_signed_is_named_without_a_held_checkpoint(log, key)


def test_a_leaf_altered_beside_a_good_entry_is_told_from_an_altered_entry(log, key):
    async def attack(connection):
        await connection.execute("UPDATE audit_leaf SET leaf_hash = sha256('') WHERE index = 25")

    report = verified(log, key, attack)
    assert [(fault.kind.value, fault.index, fault.event_id) for fault in report.faults] == [
        ("leaf_altered", 25, event_id(log, 26))
    ]


def test_an_entry_and_its_leaf_removed(log, key):
    async def attack(connection):
        await connection.execute("DELETE FROM audit_entry WHERE id = 26")
        await connection.execute("DELETE FROM audit_leaf WHERE index = 25")

    report = verified(log, key, attack)
    assert kinds(report) == {"leaf_missing": 1, "checkpoint_mismatch": 1}
    assert {(fault.index, fault.last_index) for fault in report.faults} == {(25, 25), stretch_of(25)}


def test_an_entry_slipped_in_is_named_and_one_not_sequenced_yet_is_not(log, key):
    async def attack(connection):
        await insert(connection, 26)
        await connection.execute(
            "INSERT INTO audit_entry (event_id, tag, actor_sub, actor_agency, actor_roles, actor_kind, subjects, detail)"
            " VALUES ('evt_new', 'a:b:c', '', '', '{}', '', '{}', '{}')"
        )

    report = verified(log, key, attack)
    assert (report.entries, report.pending) == (SIZE + 1, 1)
    [fault] = report.faults
    assert (fault.kind, fault.event_id) == ("entry_slipped_in", event_id(log, 26) + "y")


def test_two_entries_exchanged(log, key):
    report = verified(log, key, lambda connection: swap(connection, 10, 11))
    assert {fault.entry_id for fault in report.faults if fault.kind == "entry_altered"} == {10, 11}


def test_a_wrong_and_a_missing_and_a_foreign_node(log, key):
    async def attack(connection):
        await connection.execute("UPDATE audit_node SET hash = sha256('') WHERE level = 1 AND index = 3")
        await connection.execute("DELETE FROM audit_node WHERE level = 2 AND index = 4")
        await connection.execute("INSERT INTO audit_node VALUES (3, 6, sha256('')), (50, 0, sha256(''))")

    report = verified(log, key, attack)
    assert [(fault.kind.value, fault.index) for fault in report.faults] == [
        ("node_wrong", 6),
        ("node_missing", 16),
        ("node_unexpected", 48),
        ("node_unexpected", 0),
    ]


def test_a_removed_checkpoint_is_missed_by_the_next(log, key):
    async def attack(connection):
        await connection.execute("DELETE FROM audit_checkpoint WHERE size = %s", (CHECKPOINTS[3],))

    [fault] = verified(log, key, attack).faults
    assert (fault.kind, fault.index, fault.last_index) == ("checkpoint_missing", CHECKPOINTS[2], CHECKPOINTS[4] - 1)


def test_what_a_removed_checkpoint_covered_is_still_covered_by_the_next_root(log, key):
    async def attack(connection):
        await connection.execute("DELETE FROM audit_checkpoint WHERE size = %s", (CHECKPOINTS[3],))
        await edit(connection, CHECKPOINTS[3], "tag", "'other'")
        await rebuild(connection)

    assert kinds(verified(log, key, attack)) == {"checkpoint_missing": 1, "checkpoint_mismatch": 1}


def test_a_held_checkpoint_that_is_not_ours(log, key, held):
    forged = Signer(Ed25519PrivateKey.generate()).sign(held)
    assert kinds(log.report(key, forged)) == {"held_signature": 1}
    larger = held.model_copy(update={"size": SIZE + 1})
    assert kinds(log.report(key, larger)) == {"held_signature": 1, "held_beyond": 1}


def test_with_a_wrong_key_no_checkpoint_is_believed(log):
    report = log.report(Signer(Ed25519PrivateKey.generate()))
    assert kinds(report) == {"checkpoint_signature": len(BATCHES)}


def test_a_snapshot_is_insisted_on(log, key):
    async def go():
        async with await snapshot(log.admin_url) as connection:
            await connection.set_isolation_level(None)
            await verify(connection, key.public_keys)

    with pytest.raises(ValueError, match="one snapshot"):
        asyncio.run(go())


ROUNDS = 200


def test_random_tamperings_are_all_found(log, key, held):
    """With the newest checkpoint held; all of them, and none raises an error."""
    missed, done = [], Counter()

    async def go():
        for seed in range(ROUNDS):
            attack = Attack(seed, SIZE, CHECKPOINTS)
            async with tampered(log) as connection:
                what = await attack.run(connection)
                report = await verify(connection, key.public_keys, held)
            done[attack.name] += 1
            if not report.faults:
                missed.append((seed, attack.name, what))

    asyncio.run(go())
    assert sum(done.values()) == ROUNDS
    assert len(done) == sum(name.startswith("do_") for name in dir(Attack))
    assert not missed
    assert log.report(key, held).faults == ()


def test_traitor_a_verifier_that_believes_roots_without_a_signature_finds_nothing(log, key, monkeypatch):
    """A hash chain or tree alone proves nothing against somebody who can compute it anew."""

    def found():
        count = 0
        for entry in range(1, 21):

            async def attack(connection, entry=entry):
                await edit(connection, entry, "tag", "'other'")
                await rebuild(connection, roots=True)

            count += bool(verified(log, key, attack).faults)
        return count

    assert found() == 20
    monkeypatch.setattr(comparison, "verify_checkpoint", lambda checkpoint, keys: True)
    assert found() == 0


def test_memory_does_not_grow_with_the_log(empty_audit, key):
    database = empty_audit.copy()
    peaks = []
    for _ in range(2):
        database.sql(
            "INSERT INTO audit_entry (event_id, tag, actor_sub, actor_agency, actor_roles, actor_kind, subjects, detail)"
            " SELECT gen_random_uuid(), 'a:b:c', 'someone', 'CBP', '{analyst}', 'person', '{\"case\": \"cas_1\"}', '{}'"
            " FROM generate_series(1, 4000) AS n"
        )
        asyncio.run(sequence_all(database, key))
        tracemalloc.start()
        assert database.report(key).faults == ()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.1, peaks


async def sequence_all(database, key):
    from broker.audit.sequencer import sequence_once

    async with database.work() as work:
        while await sequence_once(work, key):
            pass
