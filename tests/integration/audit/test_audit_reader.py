"""Reading entries and proofs: what is asked for, all of it, and nothing of others."""

import asyncio
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.dialects import postgresql

from broker.audit.checkpoint import Signer
from broker.audit.reader import (
    EVERYTHING,
    Filters,
    Scope,
    consistency_proof,
    entries,
    inclusion_proof,
    latest_checkpoint,
    standing,
)
from broker.audit.recorder import record
from broker.audit.tree import extends, includes, leaf_hash
from broker.kernel.errors import Conflict, Invalid, NotFound
from tests.integration.audit.audit_log import act

SIZE = 23


@pytest.fixture(scope="module")
def log(empty_audit):
    database = empty_audit.copy()
    database.fill(Signer(Ed25519PrivateKey.generate()), 10, 5, 8)
    return database


def read(log, function, *arguments):
    async def go():
        async with log.work() as work, work.begin() as tx:
            return await function(tx, *arguments)

    return asyncio.run(go())


def everything(log, scope, filters, limit):
    found, cursor = [], None
    while True:
        page = read(log, entries, scope, filters, cursor, limit)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            return found
        cursor = page.next


def test_an_empty_log(database):
    assert read(database, entries, EVERYTHING, Filters(), None, 10).model_dump() == {"items": (), "next": None}
    assert read(database, latest_checkpoint) is None
    assert read(database, standing).model_dump() == {"sequenced": 0, "pending": 0, "oldest_pending": None}
    with pytest.raises(NotFound):
        read(database, inclusion_proof, EVERYTHING, "evt_none")
    with pytest.raises(Invalid):
        read(database, consistency_proof, 1)


@pytest.mark.parametrize("limit", [1, 2, 7, SIZE, 500])
def test_pages_give_every_entry_once_newest_first(log, limit):
    found = everything(log, EVERYTHING, Filters(), limit)
    assert [entry.detail["number"] for entry in found] == list(range(SIZE))[::-1]
    assert [entry.index for entry in found] == list(range(SIZE))[::-1]
    assert all(entry.at.utcoffset().total_seconds() == 0 for entry in found)


@pytest.mark.parametrize("limit", [-1, 0, 10_000])
def test_a_limit_out_of_bounds_is_brought_within_them(log, limit):
    assert len(read(log, entries, EVERYTHING, Filters(), None, limit).items) == (SIZE if limit > 0 else 1)


def test_filters_and_scopes_together(log):
    def numbers(filters, scope=EVERYTHING):
        return {entry.detail["number"] for entry in everything(log, scope, filters, 4)}

    every = range(SIZE)
    assert numbers(Filters(tag="test:act:done")) == set(every)
    assert numbers(Filters(tag="test:act")) == set()
    assert numbers(Filters(actor="officer-1")) == {number for number in every if number % 3 == 1}
    assert numbers(Filters(subject="cas_2")) == {number for number in every if number % 5 == 2}
    assert numbers(Filters(subject="itm_7")) == {7}
    assert numbers(Filters(subject="itm_7", actor="officer-2")) == set()
    assert numbers(Filters(), Scope(agencies=("CBP",))) == {number for number in every if number % 3 == 1}
    assert numbers(Filters(subject="cas_2"), Scope(agencies=("CBP", "DOS"))) == {
        number for number in every if number % 5 == 2 and number % 3
    }
    assert numbers(Filters(), Scope(agencies=())) == set()


def test_since_is_inclusive_and_until_is_not(log):
    moments = [entry.at for entry in everything(log, EVERYTHING, Filters(), 100)][::-1]
    found = everything(log, EVERYTHING, Filters(since=moments[5], until=moments[9]), 3)
    assert [entry.at for entry in found] == moments[5:9][::-1]
    assert everything(log, EVERYTHING, Filters(since=datetime(2999, 1, 1, tzinfo=UTC)), 3) == []


@pytest.mark.parametrize("subject", ['x" || true || $.* == "x', "x') OR true --", "\\", '"', "$.*", "", "%", "\n"])
def test_what_is_looked_for_is_never_a_part_of_the_query(log, subject):
    assert everything(log, EVERYTHING, Filters(subject=subject), 50) == []


@pytest.mark.parametrize("word", ["nul\0", "half \ud800"])
@pytest.mark.parametrize("place", ["tag", "actor", "subject", "cursor", "event"])
def test_what_cannot_be_stored_cannot_be_looked_for(log, place, word):
    calls = {
        "cursor": (entries, EVERYTHING, Filters(), word, 5),
        "event": (inclusion_proof, EVERYTHING, word),
    }
    call = calls.get(place) or (entries, EVERYTHING, Filters(**{place: word}), None, 5)
    with pytest.raises(Invalid):
        read(log, *call)


def test_a_cursor_of_somebody_elses_entry_is_no_cursor(log):
    foreign = next(entry for entry in everything(log, EVERYTHING, Filters(), 50) if entry.actor_agency == "DOS")
    for cursor in (foreign.event_id, "evt_unknown"):
        with pytest.raises(Invalid):
            read(log, entries, Scope(agencies=("CBP",)), Filters(), cursor, 5)


def test_a_pending_entry_is_shown_without_a_place(database):
    async def go():
        async with database.work() as work, work.begin() as tx:
            await record(tx, act(1))

    asyncio.run(go())
    [entry] = everything(database, EVERYTHING, Filters(), 5)
    assert entry.index is None
    with pytest.raises(Conflict):
        read(database, inclusion_proof, EVERYTHING, entry.event_id)


def test_an_inclusion_proof_for_every_entry(log):
    for entry in everything(log, EVERYTHING, Filters(), 50):
        found = read(log, inclusion_proof, EVERYTHING, entry.event_id)
        assert (found.index, found.size) == (entry.index, found.checkpoint.size) == (entry.index, SIZE)
        leaf = leaf_hash(found.leaf.encode())
        assert includes(found.checkpoint.root, found.size, found.index, leaf, found.path)
        assert entry.event_id in found.leaf


def test_no_proof_of_somebody_elses_entry(log):
    for entry in everything(log, EVERYTHING, Filters(), 50):
        if entry.actor_agency == "CBP":
            read(log, inclusion_proof, Scope(agencies=("CBP",)), entry.event_id)
        else:
            with pytest.raises(NotFound):
                read(log, inclusion_proof, Scope(agencies=("CBP",)), entry.event_id)


def test_a_consistency_proof_from_every_checkpoint(log):
    for size, root in log.sql("SELECT size, root FROM audit_checkpoint"):
        found = read(log, consistency_proof, size)
        assert extends(size, root, found.size, found.checkpoint.root, found.path)
    for size in (0, -1, SIZE + 1):
        with pytest.raises(Invalid):
            read(log, consistency_proof, size)


def test_standing_says_what_waits_and_since_when(database, signer):
    database.fill(signer, 3)

    async def go():
        async with database.work() as work:
            for number in range(2):
                async with work.begin() as tx:
                    await record(tx, act(number))

    asyncio.run(go())
    found = read(database, standing)
    assert (found.sequenced, found.pending) == (3, 2)
    assert [(found.oldest_pending,)] == database.sql("SELECT min(at) FROM audit_entry WHERE id > 3")


@pytest.fixture(scope="module")
def large_log(empty_audit):
    database = empty_audit.copy()
    database.sql(
        "INSERT INTO audit_entry (event_id, tag, actor_sub, actor_agency, actor_roles, actor_kind, subjects, detail)"
        " SELECT 'evt_' || n, 'a:b:c' || n % 5, 's' || n % 7, 'CBP', '{}', 'person',"
        " jsonb_build_object('case', 'cas_' || n), '{}' FROM generate_series(1, 20000) AS n"
    )
    database.sql("ANALYZE audit_entry")
    return database


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(), "audit_entry_at"),
        (Filters(tag="rare:tag:x"), "audit_entry_tag"),
        (Filters(actor="rare"), "audit_entry_actor"),
        (Filters(subject="cas_9999"), "audit_entry_subjects"),
    ],
)
def test_reading_uses_an_index(large_log, filters, index):
    async def plan(tx):
        statements = []
        execute = tx.execute
        tx.execute = lambda statement: statements.append(statement) or execute(statement)
        await entries(tx, EVERYTHING, filters, None, 20)
        [statement] = statements
        query = statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        return [line for (line,) in await tx.connection.exec_driver_sql(f"EXPLAIN {query}")]

    lines = read(large_log, plan)
    assert any(index in line for line in lines), lines
    assert not any("Seq Scan on audit_entry" in line for line in lines), lines
