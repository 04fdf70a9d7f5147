"""The job library's own tables and functions, as the installed version ships them."""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the library's schema as one script.

    The pinned version's schema is taken whole; a later version's changes come as migrations of ours.
    """
    # Through the driver: the script is many statements and has '%' and ':' in it that mean nothing to SQLAlchemy.
    connection = op.get_bind().connection.driver_connection
    if connection is None:
        raise RuntimeError("the migration needs an open connection")
    connection.execute(SchemaManager.get_schema())
