"""The tests' own database: migrated, shared by the run, fresh where asked for."""

import os

import psycopg
import pytest

from tests.support.postgres import Database, Server


def count(database: Database) -> object:
    with database.owner() as connection:
        row = connection.execute("SELECT count(*) FROM case_file").fetchone()
    return row[0] if row else None


def test_a_fresh_database_is_migrated_and_empty(fresh_postgres: Database) -> None:
    assert count(fresh_postgres) == 0


def test_the_service_has_the_service_s_rights_and_no_more(fresh_postgres: Database) -> None:
    with fresh_postgres.service() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("broker_app",)
        connection.execute("SELECT count(*) FROM audit_entry")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM audit_entry")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (i int)")


def test_an_outside_server_is_used_if_one_is_given(postgres_server: Server) -> None:
    """Also in xdist's workers, where the variable that named it is gone."""
    given = os.environ.get("SUITE_DATABASE_URL")
    assert postgres_server.admin_url == given if given else "broker_bootstrap" in postgres_server.admin_url


def test_two_databases_are_two(postgres: Database, fresh_postgres: Database) -> None:
    assert postgres.name != fresh_postgres.name
    with fresh_postgres.owner() as connection:
        connection.execute("CREATE TABLE here_only (i int)")
    with postgres.owner() as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM here_only")
