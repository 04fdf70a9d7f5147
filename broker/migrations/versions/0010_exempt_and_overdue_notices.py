"""Exempt and overdue notices"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Exempt and overdue notices"""
    op.add_column("notice", sa.Column("exempt_ground", sa.String(), nullable=True))
    op.add_column("notice_delivery", sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "notice_delivery_open",
        "notice_delivery",
        ["notice_id"],
        unique=False,
        postgresql_where=sa.text("acknowledged_at IS NULL"),
    )
    op.execute("GRANT UPDATE (reminded_at) ON notice_delivery TO broker_app")
