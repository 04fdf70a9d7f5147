"""What the migration runs after it has made the audit tables: rights for the service, and triggers against everybody.

Privileges stop the service's role. The triggers also stop the owner of the tables and a superuser, unless they
disable them on purpose; whoever does that is found by the verifier.
"""

from typing import Final

from broker.storage.database import SERVICE_ROLE

_TABLES: Final = ("audit_entry", "audit_leaf", "audit_node", "audit_checkpoint")
_WRITTEN_BY_SERVICE: Final = "event_id, tag, actor_sub, actor_agency, actor_roles, actor_kind, subjects, detail"

_REFUSE: Final = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = 'audit rows are never changed or removed (' || TG_OP || ' on ' || TG_TABLE_NAME || ')';
END
$$
"""


def _for_table(name: str) -> tuple[str, ...]:
    # Without a column list the service could choose an entry's id, time and transaction, and so slip a row in
    # behind the sequencer's back.
    columns = f" ({_WRITTEN_BY_SERVICE})" if name == "audit_entry" else ""
    return (
        f"REVOKE ALL ON {name} FROM PUBLIC, {SERVICE_ROLE}",
        f"GRANT SELECT, INSERT{columns} ON {name} TO {SERVICE_ROLE}",
        (
            f"CREATE TRIGGER {name}_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()"
        ),
        # ALWAYS: also in a session that replays changes (session_replication_role = replica).
        f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {name}_never_changed",
    )


STATEMENTS: Final[tuple[str, ...]] = (_REFUSE, *(statement for name in _TABLES for statement in _for_table(name)))
"""Run in order, by the owner of the tables, after the tables and the role ``broker_app`` are there."""
