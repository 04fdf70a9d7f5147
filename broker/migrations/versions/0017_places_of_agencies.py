"""Places of agencies"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Places of agencies"""
    op.create_table(
        "agency_place",
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("chain", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON agency_place TO broker_app")
