"""Deleting a source frees nothing, the database refuses what the service may not do, and without a record no act."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from broker.items.model import Source
from broker.kernel.words import ItemKind
from broker.products.derive import Draft, Part
from broker.release.model import Release
from broker.storage.unit_of_work import Transaction
from tests.support.postgres import Database
from tests.support.traitors import assert_caught
from tests.support.workplace import ANALYST, Workplace, owners_missing, workplace

NEVER = ("audit_entry", "audit_leaf", "audit_node", "audit_checkpoint", "decision", "disclosure", "item_marking")
ONCE = (
    "item_root",
    "item_source",
    "release",
    "review",
    "review_disposition",
    "review_state",
    "idempotency_key",
    "grant_step",
)
TABLES_OF_AN_ITEM = ("item_marking", "item_root", "item_source", "item")


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with workplace(database) as place:
            return await test(place)

    return asyncio.run(run())


async def _lead_from(place: Workplace, case: str, *sources: str) -> str:
    part = Part(text="Both lists name the same.", sources=tuple(Source(item=one) for one in sources))
    draft = Draft(kind=ItemKind.LEAD, title="A lead", case_id=case, parts=(part,))
    return (await place.derive.derive(ANALYST, draft, place.policy.bundle.purposes)).id


def test_deleting_a_source_row_frees_nothing(fresh_postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        cbp = await place.item(case, "CBP", kind=ItemKind.CANDIDATE_LIST)
        dos = await place.item(case, "DOS", kind=ItemKind.CANDIDATE_LIST)
        lead = await _lead_from(place, case, cbp, dos)
        assert owners_missing(await place.release(case, lead)) == ["CBP", "DOS"]
        with fresh_postgres.owner() as owner:
            for name in TABLES_OF_AN_ITEM:
                column = "id" if name == "item" else "item_id"
                owner.execute(f"DELETE FROM {name} WHERE {column} = ANY (%s)", [[cbp, dos]])
            assert owner.execute("SELECT count(*) FROM item").fetchone() == (1,)
        assert owners_missing(await place.release(case, lead)) == ["CBP", "DOS"]
        # What is made of the lead afterwards has these owners, too.
        summary = await _lead_from(place, case, lead)
        assert owners_missing(await place.release(case, summary)) == ["CBP", "DOS"]

    at_work(fresh_postgres, test)


def test_relabelling_a_source_afterwards_frees_nothing(fresh_postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        dos = await place.item(case, "DOS", kind=ItemKind.CANDIDATE_LIST)
        lead = await _lead_from(place, case, dos)
        with fresh_postgres.owner() as owner:
            owner.execute("UPDATE item_marking SET owner = 'ICE-HSI' WHERE item_id = %s", [dos])
        assert owners_missing(await place.release(case, lead)) == ["DOS"]

    at_work(fresh_postgres, test)


@pytest.mark.parametrize("table", NEVER + ONCE)
def test_the_service_cannot_change_or_delete_what_is_written_once(postgres: Database, table: str) -> None:
    with postgres.service() as service, postgres.owner() as owner:
        columns = owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [table],
        ).fetchall()
        for (column,) in columns:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(f'UPDATE {table} SET "{column}" = DEFAULT')
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"DROP TABLE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(statement)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")


@pytest.mark.parametrize("column", ["id", "kind", "component", "case_id", "purpose", "expires_at", "ciphertext"])
def test_of_an_item_only_the_key_can_be_destroyed(postgres: Database, column: str) -> None:
    with postgres.service() as service, pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute(f"UPDATE item SET {column} = {column}")


@pytest.mark.parametrize(
    "column",
    [
        "owner",
        "recipients",
        "action",
        "purposes",
        "scope",
        "valid_until",
        "max_uses",
        "duties",
        "lift",
        "reach_recipients",
    ],
)
def test_the_terms_of_a_grant_never_change(postgres: Database, column: str) -> None:
    with postgres.service() as service:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(f"UPDATE permission_grant SET {column} = {column}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute("DELETE FROM permission_grant")


def test_without_its_audit_row_no_act_is_done(fresh_postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        granted = await place.grant("DOS", item, max_uses=5)
        with fresh_postgres.owner() as owner:
            owner.execute("REVOKE INSERT ON audit_entry FROM broker_app")
        acts: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: place.release(case, item),
            place.case,
            lambda: place.grant("DOS", item),
            lambda: place.endings.revoke(_dos(), granted.id, "x", place.policy.bundle.agencies),
            lambda: place.door.view(ANALYST, item),
            lambda: _lead_from(place, case, item),
        )
        before = _counts(fresh_postgres)
        for act in acts:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await act()
        assert _counts(fresh_postgres) == before
        with fresh_postgres.owner() as owner:
            state = owner.execute("SELECT status, uses FROM permission_grant WHERE id = %s", [granted.id]).fetchone()
            assert state == ("active", 0)
            owner.execute("GRANT INSERT ON audit_entry TO broker_app")
        assert isinstance(await place.release(case, item), Release)

    at_work(fresh_postgres, test)


def _dos() -> Any:
    from tests.support.workplace import officer

    return officer("DOS")


def _counts(database: Database) -> dict[str, int]:
    names = ("release", "disclosure", "decision", "case_file", "permission_grant", "item", "audit_entry")
    with database.owner() as owner:
        return {name: owner.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_traitor_that_goes_on_when_the_record_fails_is_caught(
    fresh_postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The act is committed, and that its record could not be written is passed over."""
    honest = Transaction.driver

    class GoesOn:
        def __init__(self, driver: Any) -> None:
            self.driver = driver

        def __getattr__(self, name: str) -> Any:
            return getattr(self.driver, name)

        async def execute(self, *statement: Any) -> Any:
            try:
                async with self.driver.transaction():
                    return await self.driver.execute(*statement)
            except psycopg.errors.InsufficientPrivilege:
                return None

    async def driver(self: Transaction) -> Any:
        return GoesOn(await honest(self))

    monkeypatch.setattr(Transaction, "driver", driver)
    assert_caught(test_without_its_audit_row_no_act_is_done, fresh_postgres)
