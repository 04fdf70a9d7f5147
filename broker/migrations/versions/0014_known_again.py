"""What is known again when it comes back"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Fingerprints of what items say, and what of them was given to whom."""
    op.create_table(
        "item_fingerprint",
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("places", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("own_of", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("item_id", "mac", "places"),
    )
    op.create_index("item_fingerprint_by_mac", "item_fingerprint", ["mac"], unique=False)
    op.create_table(
        "handed_out",
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("extent", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "item_id", "extent"),
    )
    op.create_index(op.f("ix_handed_out_item_id"), "handed_out", ["item_id"], unique=False)
    for name in ("item_fingerprint", "handed_out"):
        op.execute(f"GRANT SELECT, INSERT ON {name} TO broker_app")
