"""Lines of partners, and which legs are due and looked after"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_OPEN = "state IN ('queued', 'sent', 'pending')"


def upgrade() -> None:
    """Lines of partners, and which legs are due and looked after"""
    op.create_table(
        "partner_line",
        sa.Column("partner", sa.String(), nullable=False),
        sa.Column("circuit", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retries_left", sa.Float(), nullable=False),
        sa.Column("retried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("tokens_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("partner"),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON partner_line TO broker_app")
    op.add_column("search_leg", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("search_leg", sa.Column("polls", sa.Integer(), nullable=False, server_default="0"))
    # What was under way when the table changed is due at once.
    due = sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    op.add_column("search_leg", due)
    op.add_column("search_leg", sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("search_leg", "polls", server_default=None)
    op.alter_column("search_leg", "due_at", server_default=None)
    op.execute("GRANT UPDATE (sent_at, polls, due_at, leased_until) ON search_leg TO broker_app")
    op.create_index(
        "search_leg_due", "search_leg", ["partner", "due_at"], unique=False, postgresql_where=sa.text(_OPEN)
    )
    op.create_index(
        "search_leg_leased",
        "search_leg",
        ["partner", "leased_until"],
        unique=False,
        postgresql_where=sa.text(f"leased_until IS NOT NULL AND {_OPEN}"),
    )
    op.create_index(
        "search_leg_sent",
        "search_leg",
        ["partner", "sent_at"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NOT NULL"),
    )
