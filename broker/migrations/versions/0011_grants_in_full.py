"""Grants in full: reach, duties, hops, lifts, what supersedes what, and the history of each"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Grants in full"""
    _columns()
    _history()
    op.add_column("disclosure", sa.Column("purge_by", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "disclosure_to_purge",
        "disclosure",
        ["purge_by"],
        unique=False,
        postgresql_where=sa.text("purge_by IS NOT NULL"),
    )
    op.create_index("release_by_grant", "release", ["grants"], unique=False, postgresql_using="gin")


def _columns() -> None:
    # What was recorded before reaches what it names and nothing below: which tree its owner had in mind is not known.
    words, none = sa.ARRAY(sa.Text()), sa.text("'{}'")
    op.add_column("permission_grant", sa.Column("max_hops", sa.Integer(), nullable=True))
    op.add_column(
        "permission_grant",
        sa.Column("duties", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default=sa.text("'[]'")),
    )
    op.add_column("permission_grant", sa.Column("lift", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("permission_grant", sa.Column("reach_recipients", words, nullable=False, server_default=none))
    op.add_column("permission_grant", sa.Column("reach_purposes", words, nullable=False, server_default=none))
    op.add_column("permission_grant", sa.Column("supersedes", sa.String(), nullable=True))
    op.add_column("permission_grant", sa.Column("superseded_by", sa.String(), nullable=True))
    op.execute("UPDATE permission_grant SET reach_recipients = recipients, reach_purposes = purposes")
    for column in ("duties", "lift", "reach_recipients", "reach_purposes"):
        op.alter_column("permission_grant", column, server_default=None)
    op.alter_column("permission_grant", "action", existing_type=sa.String(), nullable=True)
    op.execute("GRANT UPDATE (superseded_by) ON permission_grant TO broker_app")


def _history() -> None:
    op.create_table(
        "grant_step",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("grant_id", "number"),
    )
    op.execute("GRANT SELECT, INSERT ON grant_step TO broker_app")
    # What the grants themselves tell of what was done to them so far.
    op.execute(
        "INSERT INTO grant_step (grant_id, number, change, at, by, reason)"
        " SELECT grant_id, row_number() OVER (PARTITION BY grant_id ORDER BY at), change, at, by, reason FROM ("
        " SELECT id AS grant_id, 'recorded' AS change, recorded_at AS at, recorded_by AS by, NULL AS reason"
        " FROM permission_grant"
        " UNION ALL SELECT id, 'confirmed', confirmed_at, confirmed_by, NULL FROM permission_grant"
        " WHERE confirmed_at IS NOT NULL AND confirmed_by IS NOT NULL"
        " UNION ALL SELECT id, 'revoked', revoked_at, revoked_by, revocation_reason FROM permission_grant"
        " WHERE revoked_at IS NOT NULL AND revoked_by IS NOT NULL) AS steps"
    )
