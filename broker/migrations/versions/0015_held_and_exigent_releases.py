"""Held and exigent releases"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from broker.audit.tables import Xid8

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_HELD = "state = 'held'"


def upgrade() -> None:
    """Held and exigent releases"""
    op.create_table(
        "held_release",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("fields", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("woken", sa.Boolean(), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owners", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("unreviewed", sa.Boolean(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("refusal", postgresql.JSONB(), nullable=False),
        sa.Column("release_id", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("held_release_by_component", "held_release", ["component", "id"], unique=False)
    where = sa.text(_HELD)
    op.create_index("held_release_by_owner", "held_release", ["owners"], postgresql_using="gin", postgresql_where=where)
    op.create_index("held_release_due", "held_release", ["look_at"], unique=False, postgresql_where=where)
    op.create_index(
        "held_release_woken", "held_release", ["id"], unique=False, postgresql_where=sa.text(f"{_HELD} AND woken")
    )
    op.create_table(
        "held_cursor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("xact", Xid8(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    # What was recorded before anything could be held wakes nothing.
    op.execute("INSERT INTO held_cursor SELECT 1, pg_snapshot_xmin(pg_current_snapshot()), 0")
    op.create_table(
        "exigent_release",
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("danger", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"]),
        sa.PrimaryKeyConstraint("release_id"),
    )
    op.create_table(
        "exigent_part",
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["release_id"], ["exigent_release.release_id"]),
        sa.PrimaryKeyConstraint("release_id", "owner"),
    )
    op.create_index("exigent_part_by_owner", "exigent_part", ["owner", "release_id"], unique=False)
    for name in ("held_release", "exigent_release", "exigent_part"):
        op.execute(f"GRANT SELECT, INSERT ON {name} TO broker_app")
    op.execute("GRANT SELECT ON held_cursor TO broker_app")
    op.execute("GRANT UPDATE (xact, entry_id) ON held_cursor TO broker_app")
    op.execute(
        "GRANT UPDATE (state, woken, look_at, owners, unreviewed, decision_id, refusal, release_id, ended_at, ending)"
        " ON held_release TO broker_app"
    )
    op.execute("GRANT UPDATE (state, read_at, answered_by, answered_at, note) ON exigent_part TO broker_app")
