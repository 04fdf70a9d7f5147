"""Markings of single places"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Markings of single places"""
    # Without places a marking is about the whole content, which is what every marking so far says.
    op.add_column("item_marking", sa.Column("selectors", sa.ARRAY(sa.Text()), nullable=True))
