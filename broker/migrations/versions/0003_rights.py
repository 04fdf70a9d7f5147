"""What the service's role may do: nothing but what the service does, and nothing to the audit but add to it."""

from alembic import op

from broker.audit.ddl import STATEMENTS

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ROLE = "broker_app"
_WRITTEN_ONCE = (
    "decision",
    "disclosure",
    "idempotency_key",
    "item_marking",
    "item_root",
    "item_source",
    "policy_bundle",
    "probe",
    "quarantine",
    "release",
    "review",
    "review_disposition",
    "review_state",
    "search",
)
# FOR SHARE and FOR UPDATE need the right to update at least one column, so these lists also say what can be locked.
_CHANGED = {
    "case_file": "status, closed_by, closed_at",
    "grant_reach": "active",
    "item": "wrapped_key",
    "permission_grant": ("status, uses, confirmed_by, confirmed_at, revoked_by, revoked_at, revocation_reason"),
    "policy_in_force": "digest, activated_at, activated_by",
    "search_leg": "state, reason, item_id, task_id, calls, deadline_at, ended_at",
}


def upgrade() -> None:
    """Make the role if the server lacks it, and give it its rights."""
    op.execute(
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{_ROLE}') "
        f"THEN CREATE ROLE {_ROLE} NOLOGIN; GRANT {_ROLE} TO CURRENT_USER; END IF; END $$"
    )
    op.execute(f"GRANT USAGE ON SCHEMA public TO {_ROLE}")
    for table in (*_WRITTEN_ONCE, *_CHANGED):
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {_ROLE}")
    for table, columns in _CHANGED.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO {_ROLE}")
    op.execute(
        "DO $$ DECLARE one record; BEGIN "
        "FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'procrastinate_%' "
        f"LOOP EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO {_ROLE}', one.tablename); END LOOP; "
        "FOR one IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' "
        "AND sequencename LIKE 'procrastinate_%' "
        f"LOOP EXECUTE format('GRANT USAGE ON SEQUENCE %I TO {_ROLE}', one.sequencename); END LOOP; END $$"
    )
    for statement in STATEMENTS:
        op.execute(statement)
