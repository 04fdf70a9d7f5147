"""Writing audit rows, and what the database refuses to let anybody do with them."""

import asyncio

import psycopg
import pytest

from broker.audit.events import Actor, AuditEvent
from broker.audit.leaf import NAMES
from broker.audit.recorder import record
from broker.kernel.errors import Invalid
from tests.integration.audit.audit_log import Act, act

TABLES = ("audit_entry", "audit_leaf", "audit_node", "audit_checkpoint")
CHANGES = ("UPDATE {} SET {} = {}", "DELETE FROM {} WHERE {} = {}", "TRUNCATE {}")


def changes(table):
    column = {"audit_entry": "tag", "audit_leaf": "index", "audit_node": "index", "audit_checkpoint": "size"}[table]
    return [change.format(table, column, column) for change in CHANGES]


def test_one_row_in_the_transaction_of_the_act(database):
    async def go():
        async with database.work() as work, work.begin() as tx:
            return await record(tx, act(4))

    event_id = asyncio.run(go())
    assert event_id.startswith("evt_")
    [row] = database.sql(
        "SELECT event_id, tag, actor_sub, actor_agency, actor_roles, actor_kind, subjects, detail,"
        " at BETWEEN now() - interval '1 minute' AND clock_timestamp(), xact::text = xmin::text FROM audit_entry"
    )
    assert row[:6] == (event_id, "test:act:done", "officer-1", "CBP", ["analyst"], "person")
    assert row[6] == {"case": "cas_4"}
    assert row[7] == {"number": 4, "urgent": False, "reason": act(4).reason, "owners": ["CBP"]}
    assert row[8:] == (True, True)


def test_no_row_no_act_and_no_act_no_row(database):
    class Failed(Exception):
        pass

    async def go():
        async with database.work() as work, work.begin() as tx:
            await record(tx, act(1))
            raise Failed

    with pytest.raises(Failed):
        asyncio.run(go())
    assert database.sql("SELECT count(*) FROM audit_entry") == [(0,)]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("url", ["app_url", "owner_url", "admin_url"])
def test_the_database_refuses_to_change_or_remove(database, signer, table, url):
    database.fill(signer, 2)
    before = database.sql(f"SELECT t::text FROM {table} AS t ORDER BY 1")
    assert before
    for statement in changes(table):
        with psycopg.connect(getattr(database, url)) as connection, pytest.raises(psycopg.Error) as refusal:
            connection.execute(statement.encode())
        # The service by its rights; the owner and a superuser, who have every right, by the trigger.
        expected = "42501" if url == "app_url" else "23001"
        assert refusal.value.sqlstate == expected, statement
    assert database.sql(f"SELECT t::text FROM {table} AS t ORDER BY 1") == before


def test_replaying_changes_is_no_way_around_the_trigger(database, signer):
    database.fill(signer, 1)
    with psycopg.connect(database.admin_url) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("DELETE FROM audit_entry")


@pytest.mark.parametrize(("column", "value"), [("id", "7"), ("at", "now()"), ("xact", "'3'::xid8")])
def test_the_service_cannot_choose_place_or_time_of_an_entry(database, column, value):
    statement = f"INSERT INTO audit_entry ({column}, event_id) OVERRIDING SYSTEM VALUE VALUES ({value}, 'evt_x')"
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_every_column_is_hashed(database):
    columns = database.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'audit_entry' ORDER BY 1"
    )
    assert [name for (name,) in columns] == sorted(NAMES)


class Odd(AuditEvent):
    """What no event class should hold."""

    tag = "test:odd:done"
    value: object


ACTOR = Actor(sub="a", agency="CBP")


@pytest.mark.parametrize(
    "value", [1.5, 2**53, -(2**53), [[[[[[[[[1]]]]]]]]], {"deep": [0.5]}], ids=lambda value: repr(value)[:20]
)
def test_a_value_that_could_not_be_hashed_alike_for_ever_ends_the_act(database, value):
    async def go():
        async with database.work() as work, work.begin() as tx:
            await record(tx, Odd(actor=ACTOR, value=value))

    with pytest.raises(TypeError):
        asyncio.run(go())


@pytest.mark.parametrize("text", ["nul \0", "half \ud800", {"na\0me": 1}])
def test_a_text_that_cannot_be_stored_is_refused_as_the_callers_mistake(database, text):
    async def go():
        async with database.work() as work, work.begin() as tx:
            await record(tx, Odd(actor=ACTOR, value=text))

    with pytest.raises(Invalid):
        asyncio.run(go())


def test_the_largest_integers_and_every_plane_of_unicode_are_kept(database):
    value = [2**53 - 1, -(2**53) + 1, "\x01\x1f\x7f é 漢 🜨 \u2028", True, None, {"b": 1, "a": {}}]

    async def go():
        async with database.work() as work, work.begin() as tx:
            await record(tx, Odd(actor=ACTOR, value=value))

    asyncio.run(go())
    assert database.sql("SELECT detail FROM audit_entry") == [({"value": value},)]


def test_acts_differ():
    assert len({str(act(number)) for number in range(50)}) == 50
    assert isinstance(act(1), Act)
