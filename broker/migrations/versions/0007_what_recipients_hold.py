"""What recipients hold: caveats to be accepted, hops, and what is made of it"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_EMPTY = sa.text("'{}'")
# Before, a copy's caveats stood in the sealed copy alone; they were those of the item and of the grants relied on.
_CAVEATS = """
UPDATE release r SET caveats = ARRAY (
    SELECT DISTINCT code FROM (
        SELECT unnest(m.caveats) AS code FROM item_marking m WHERE m.item_id = r.item_id
        UNION SELECT unnest(g.caveats) FROM permission_grant g WHERE g.id = ANY (r.grants)
    ) AS carried ORDER BY code)
"""


def upgrade() -> None:
    """What recipients hold"""
    op.add_column("release", sa.Column("caveats", sa.ARRAY(sa.Text()), nullable=False, server_default=_EMPTY))
    op.add_column("release", sa.Column("hop", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("release", sa.Column("received_by", sa.ARRAY(sa.Text()), nullable=False, server_default=_EMPTY))
    op.add_column("decision", sa.Column("holdings", sa.ARRAY(sa.Text()), nullable=False, server_default=_EMPTY))
    op.execute(_CAVEATS)
    # Whoever writes says each of them; a forgotten one must fail and not be filled in.
    for table, name in (
        ("release", "caveats"),
        ("release", "hop"),
        ("release", "received_by"),
        ("decision", "holdings"),
    ):
        op.alter_column(table, name, server_default=None)
    op.create_index("release_by_component", "release", ["component", "id"], unique=False)
    op.create_index("release_by_recipient", "release", ["recipient", "id"], unique=False)
    op.create_index("release_held", "release", ["item_id", "recipient", "hop"], unique=False)
    for name in ("component", "recipient", "item_id"):
        op.drop_index(op.f(f"ix_release_{name}"), table_name="release")
    op.create_table(
        "release_acceptance",
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("accepted_by", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caveats", sa.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"]),
        sa.PrimaryKeyConstraint("release_id"),
    )
    op.create_table(
        "item_held_under",
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("release_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.PrimaryKeyConstraint("item_id", "release_id"),
    )
    op.create_index(op.f("ix_item_held_under_release_id"), "item_held_under", ["release_id"], unique=False)
    for name in ("release_acceptance", "item_held_under"):
        op.execute(f"GRANT SELECT, INSERT ON {name} TO broker_app")
