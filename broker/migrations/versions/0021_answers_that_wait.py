"""The request whose answer waits for a second person's word is found by its grant."""

from alembic import op
from sqlalchemy import text

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An index for it, of the parts that have one."""
    op.create_index(
        "permission_part_by_grant", "permission_part", ["grant_id"], postgresql_where=text("grant_id IS NOT NULL")
    )
