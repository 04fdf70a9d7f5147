"""Why legs were refused, with the rule"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Why legs were refused, with the rule"""
    op.add_column(
        "search_leg",
        sa.Column("refusals", postgresql.JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb")),
    )
    op.alter_column("search_leg", "refusals", server_default=None)
    op.execute("GRANT UPDATE (refusals) ON search_leg TO broker_app")
