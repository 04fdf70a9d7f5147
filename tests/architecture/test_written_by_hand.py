"""What is written in two places says the same in both."""

import subprocess
import sys
import warnings

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import SAWarning

from tests.support.postgres import Database
from tests.support.programs import ROOT, environment


def test_the_migrations_make_the_tables_that_the_code_knows(fresh_postgres: Database) -> None:
    from broker.migrations.metadata import METADATA

    engine = create_engine(make_url(fresh_postgres.owner_url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            with warnings.catch_warnings():
                # Reflection does not know the type of a transaction id, which is PostgreSQL's own.
                warnings.filterwarnings("ignore", "Did not recognize type 'xid8'", SAWarning)
                differences = compare_metadata(context, METADATA)
    finally:
        engine.dispose()
    ours = set(METADATA.tables)
    # The job library brings tables of its own, which it migrates itself.
    relevant = [one for one in differences if not _about_others(one, ours)]
    assert relevant == []


def _about_others(difference: object, ours: set[str]) -> bool:
    if not isinstance(difference, tuple):
        return False
    what, thing = difference[0], difference[1]
    table = getattr(thing, "table", thing)
    return what.startswith("remove") and getattr(table, "name", "") not in ours


def test_the_api_s_statement_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "broker", "openapi", "--check"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
