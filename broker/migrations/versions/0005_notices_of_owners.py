"""Notices of owners"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Notices of owners"""
    op.create_table(
        "notice",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledge_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_notice_item_id"), "notice", ["item_id"], unique=False)
    op.create_index(op.f("ix_notice_owner"), "notice", ["owner"], unique=False)
    op.create_table(
        "notice_delivery",
        sa.Column("notice_id", sa.String(), nullable=False),
        sa.Column("disclosure_id", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["disclosure_id"], ["disclosure.id"]),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"]),
        sa.PrimaryKeyConstraint("notice_id", "disclosure_id"),
    )
    op.create_index("notice_delivery_by_recipient", "notice_delivery", ["recipient", "notice_id"], unique=False)
    op.create_table(
        "notice_item",
        sa.Column("notice_id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("standing", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"]),
        sa.PrimaryKeyConstraint("notice_id", "item_id"),
    )
    op.create_index(
        "notice_item_standing", "notice_item", ["item_id"], unique=False, postgresql_where=sa.text("standing")
    )
    for name in ("notice", "notice_delivery", "notice_item"):
        op.execute(f"GRANT SELECT, INSERT ON {name} TO broker_app")
    op.execute("GRANT UPDATE (lifted_by, lifted_at) ON notice TO broker_app")
    op.execute("GRANT UPDATE (acknowledged_by, acknowledged_at) ON notice_delivery TO broker_app")
    op.execute("GRANT UPDATE (standing) ON notice_item TO broker_app")
