"""Permission requests"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Permission requests"""
    op.create_table(
        "permission_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("fields", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("justification", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_permission_request_item_id"), "permission_request", ["item_id"], unique=False)
    op.create_index("permission_request_by_component", "permission_request", ["component", "id"], unique=False)
    op.create_table(
        "permission_part",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("grant_id", sa.String(), nullable=True),
        sa.Column("information", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["permission_request.id"]),
        sa.PrimaryKeyConstraint("request_id", "owner"),
    )
    op.create_index("permission_part_by_owner", "permission_part", ["owner", "request_id"], unique=False)
    op.create_index(
        "permission_part_open",
        "permission_part",
        ["request_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('submitted', 'acknowledged', 'needs_information')"),
    )
    for name in ("permission_request", "permission_part"):
        op.execute(f"GRANT SELECT, INSERT ON {name} TO broker_app")
    # The row is locked while its parts change, which takes the right to update a column of it.
    op.execute("GRANT UPDATE (expires_at) ON permission_request TO broker_app")
    op.execute(
        "GRANT UPDATE (state, note, answered_by, answered_at, grant_id, information) ON permission_part TO broker_app"
    )
