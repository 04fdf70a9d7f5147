"""Step eight: verifying the log, and changing one row of a copy behind its back."""

import json
import time
from typing import Any

import psycopg
from psycopg import sql

from broker.storage.embedded import EmbeddedPostgres, attach
from tests.story.stage import Stage

_TABLES = ("audit_entry", "audit_leaf", "audit_node", "audit_checkpoint")
_COPY = "audit_copy"
_PATIENCE_SECONDS = 15


def verified(stage: Stage) -> dict[str, Any]:
    """What ``broker audit verify`` says once nothing is pending any more."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        done = stage.cast.broker("audit", "verify", check=False)
        report: dict[str, Any] = json.loads(done.stdout)
        if not report["pending"] or time.monotonic() > deadline:
            return report
        time.sleep(0.5)


def tampered_copy(stage: Stage) -> tuple[str, list[dict[str, Any]]]:
    """Copy the log to another database, change one row there by SQL, and verify the copy."""
    endpoint = attach(stage.home)
    if endpoint is None:
        raise RuntimeError("the embedded database is not running")
    bootstrap = EmbeddedPostgres(stage.home).bootstrap_url()
    copy_url = bootstrap.replace("/postgres?", f"/{_COPY}?")
    with psycopg.connect(bootstrap, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_COPY)))
    with psycopg.connect(endpoint.owner_url) as source, psycopg.connect(copy_url) as target:
        for name in _TABLES:
            _copy(source, target, name)
        changed = target.execute(
            "UPDATE audit_entry SET actor_sub = 'somebody.else' WHERE id = "
            "(SELECT id FROM audit_entry WHERE tag = 'decision:gate:made' ORDER BY id LIMIT 1) RETURNING event_id"
        ).fetchone()
    done = stage.cast.broker("audit", "verify", "--database-url", copy_url, check=False)
    if changed is None or done.returncode != 1:
        raise RuntimeError(f"the verifier ended with {done.returncode}: {done.stdout}{done.stderr}")
    return str(changed[0]), json.loads(done.stdout)["faults"]


def _copy(source: "psycopg.Connection[Any]", target: "psycopg.Connection[Any]", name: str) -> None:
    table = sql.Identifier(name)
    columns = source.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (name,),
    ).fetchall()
    shape = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind in columns
    )
    target.execute(sql.SQL("CREATE TABLE {} ({})").format(table, shape))
    with (
        source.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(table)) as out,
        target.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(table)) as into,
    ):
        for chunk in out:
            into.write(chunk)
