"""What every decision asks of the database is answered by indexes, however many grants are recorded.

The statements are caught on their way from the real service; plans are looked at for these very values and for none in
particular, because a prepared statement may get either.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

import psycopg
import pytest
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from broker.decision.loader import Loader
from broker.decision.service import DecisionService, Wish
from broker.grants import repository
from broker.items.reader import ItemReader
from broker.kernel.ids import AgencyId, ReleaseId, new_id
from broker.kernel.words import Action
from broker.policy.activation import PolicyInForce, activate
from broker.storage.database import engine_for
from broker.storage.sealing import Sealer, make_key
from broker.storage.unit_of_work import UnitOfWork
from tests.bench import matter, plans, register, registers
from tests.support.postgres import Database, Server, copy_of_template

_GRANTS = 50_000
_LARGE = ("permission_grant", "grant_reach")


@dataclass(frozen=True)
class Filled:
    """A register of some size, and the statements of a permit and of a refusal on it."""

    database: Database
    permitted: list[plans.Statement]
    refused: list[plans.Statement]
    item: str


@pytest.fixture(scope="module")
def filled(postgres_server: Server) -> Iterator[Filled]:
    with copy_of_template(postgres_server) as database:
        yield asyncio.run(_fill(database))


async def _fill(database: Database) -> Filled:
    engine = engine_for(database.app_url)
    work, sealer, policies = UnitOfWork(engine), Sealer(make_key()), registers.policies()
    async with work.begin() as tx:
        await activate(tx, policies.current.bundle, "test")
    made = await matter.write(work, sealer, database.owner_url, leads=5)
    asked, mixture = await register.patterns(work)
    register.fill(database.owner_url, asked, mixture, items=made.leads, size=_GRANTS, seed=1)
    door = DecisionService(work, Loader(ItemReader(sealer), PolicyInForce(policies)))

    async def outcome(recipient: str) -> bool:
        wish = Wish(AgencyId(recipient), Action.RELEASE, register.PURPOSE, made.case, None)
        async with work.begin() as tx:
            found = await door.pass_on(tx, matter.ANALYST, made.leads[0], wish, ReleaseId(new_id("rel")))
        return found is not None and bool(found.judgement.outcome)

    try:
        with plans.caught() as permitted:
            assert await outcome(register.RECIPIENT)
        with plans.caught() as refused:
            assert not await outcome("STATE-EX-DMV")
    finally:
        await engine.dispose()
    return Filled(database, permitted, refused, made.leads[0])


def _whole_tables(filled: Filled, statements: list[plans.Statement]) -> list[str]:
    found = []
    with psycopg.connect(filled.database.owner_url) as connection:
        for statement in (one for one in statements if one.reads):
            for plan in (plans.plan(connection, statement), plans.generic_plan(connection, statement)):
                found += [f"{scan} in {plan.statement}" for scan in plan.whole_tables(_LARGE)]
            connection.rollback()
    return found


def _on(statements: list[plans.Statement], table: str) -> list[plans.Statement]:
    return [one for one in statements if one.reads and f" {table} " in one.text.replace("\n", " ")]


def test_a_permit_reads_no_table_of_the_register_from_end_to_end(filled: Filled) -> None:
    assert len(_on(filled.permitted, "grant_reach")) == 1, "the lookup was caught"
    assert len(_on(filled.permitted, "permission_grant")) == 1, "the locked read of the grants was caught"
    assert _whole_tables(filled, filled.permitted) == []


def test_a_refusal_reads_no_table_of_the_register_from_end_to_end(filled: Filled) -> None:
    assert len(_on(filled.refused, "grant_reach")) == 3, "the lookup and the two explanations were caught"
    assert _whole_tables(filled, filled.refused) == []


def test_the_lookup_is_answered_by_its_index_alone(filled: Filled) -> None:
    [lookup] = _on(filled.permitted, "grant_reach")
    with psycopg.connect(filled.database.owner_url) as connection:
        for plan in (plans.plan(connection, lookup), plans.generic_plan(connection, lookup)):
            assert plan.scans == ("Index Only Scan:grant_reach:grant_reach_lookup",)


def test_one_condition_over_ended_and_run_out_grants_would_read_the_whole_register(filled: Filled) -> None:
    # The traitor: what the explanation of a refusal asked before it was taken apart.
    either = repository._FIND + " AND (NOT r.active OR r.valid_until <= clock_timestamp())"
    [_, explanation, _] = _on(filled.refused, "grant_reach")
    traitor = plans.Statement(either, explanation.parameters)
    assert _whole_tables(filled, [traitor]) != []


def test_a_bulk_loaded_grant_is_like_one_that_was_filed(filled: Filled) -> None:
    recorded = asyncio.run(_file_one(filled))
    assert register.same_shape(filled.database.owner_url, recorded, filled.item, filled.item) == []


async def _file_one(filled: Filled) -> str:
    engine = engine_for(filled.database.app_url)
    try:
        async with UnitOfWork(engine).begin() as tx:
            now = await tx.clock()
            terms = register.terms(register.OWNERS[0], now)
            scope = terms.scope.model_copy(update={"items": (filled.item,)})
            grant = register.grant_of(terms.model_copy(update={"scope": scope}), now, id=new_id("gra"))
            await repository.file(tx, grant)
    finally:
        await engine.dispose()
    return grant.id


async def _first_failure(database: Database, statement: LiteralString) -> tuple[BaseException | None, int]:
    engine = engine_for(database.app_url, pool_size=1)
    work, failure = UnitOfWork(engine), None
    try:
        try:
            async with work.begin() as tx:
                await tx.rows(statement)
                await tx.clock()
        except DBAPIError as fault:
            failure = fault
        async with work.begin() as tx:
            return failure, (await tx.rows("SELECT 7"))[0][0]
    finally:
        await engine.dispose()


def test_a_statement_that_fails_in_the_driver_is_told_as_core_tells_it(filled: Filled) -> None:
    failure, after = asyncio.run(_first_failure(filled.database, "SELECT 1 / 0"))
    assert isinstance(failure, DataError)
    assert after == 7, "and the connection serves the next transaction"


def test_a_connection_that_broke_under_a_hot_statement_is_replaced(filled: Filled) -> None:
    failure, after = asyncio.run(_first_failure(filled.database, "SELECT pg_terminate_backend(pg_backend_pid())"))
    assert isinstance(failure, OperationalError)
    assert after == 7
