"""Every call of a leg asks for the same: the gallery and the callback address that its first call named."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty for a leg that has not been sent, and for those that were sent before."""
    op.add_column("search_leg", Column("gallery", Text(), nullable=True))
    op.add_column("search_leg", Column("callback_url", Text(), nullable=True))
    op.execute("GRANT UPDATE (gallery, callback_url) ON search_leg TO broker_app")
