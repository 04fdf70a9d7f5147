"""What begins to end"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What begins to end"""
    op.add_column("grant_reach", sa.Column("ending", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("grant_reach", "ending", server_default=None)
    op.execute("GRANT UPDATE (ending) ON grant_reach TO broker_app")
