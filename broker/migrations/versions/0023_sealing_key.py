"""Which key this database's content is sealed with, so that a machine with another one does not serve."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row, written once by the first process that starts."""
    op.create_table(
        "sealing_key",
        sa.Column("singleton", sa.Boolean(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("singleton"),
        sa.CheckConstraint("singleton", name="sealing_key_is_one_row"),
    )
    op.execute("GRANT SELECT, INSERT ON sealing_key TO broker_app")
