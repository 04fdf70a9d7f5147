"""The trace that a search belongs to; and the service may see which shape the database has"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The trace that a search belongs to; and the service may see which shape the database has"""
    op.add_column("search", sa.Column("traceparent", sa.String(), nullable=True))
    # `broker serve` looks at its start, and has nothing to do where `broker migrate` was run before.
    op.execute("GRANT SELECT ON alembic_version TO broker_app")
