"""Reviews in full: disputed and resolved lists, owners' verifications, action records"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Who had been through the whole list first, and where the two of them differed.
_REVIEWERS = """
UPDATE review_state s SET reviewers = ARRAY (
    SELECT d.reviewer FROM review_disposition d JOIN review r ON r.id = d.review_id JOIN item i ON i.id = d.item_id
    WHERE d.item_id = s.item_id GROUP BY d.reviewer, i.candidates HAVING count(*) >= i.candidates
    ORDER BY max(r.at), d.reviewer LIMIT 2)
"""
_DISPUTED = """
UPDATE review_state s SET disputed = ARRAY (
    SELECT a.candidate FROM review_disposition a JOIN review_disposition b USING (item_id, candidate)
    WHERE a.item_id = s.item_id AND a.reviewer = s.reviewers[1] AND b.reviewer = s.reviewers[2]
        AND a.disposition <> b.disposition ORDER BY 1)
"""
_WRITTEN_ONCE = ("review_resolution", "verification_request", "verification", "action_record", "lead_outcome")


def upgrade() -> None:
    """Make the tables, and say of earlier reviews who disagreed."""
    _reviews()
    _verifications()
    _leads()
    for name in (*_WRITTEN_ONCE, "verification_doubt"):
        op.execute(f"GRANT SELECT, INSERT ON {name} TO broker_app")
    op.execute("GRANT UPDATE (standing) ON verification_doubt TO broker_app")


def _reviews() -> None:
    op.add_column("review_state", sa.Column("reviewers", sa.ARRAY(sa.Text()), nullable=True))
    op.add_column("review_state", sa.Column("disputed", sa.ARRAY(sa.Text()), nullable=True))
    op.execute(_REVIEWERS)
    op.execute(_DISPUTED)
    op.alter_column("review_state", "reviewers", nullable=False)
    op.alter_column("review_state", "disputed", nullable=False)
    op.create_table(
        "review_resolution",
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("review_id", sa.String(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"]),
        sa.PrimaryKeyConstraint("item_id"),
    )


def _verifications() -> None:
    op.create_table(
        "verification_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owners", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_verification_request_item_id"), "verification_request", ["item_id"], unique=False)
    op.create_index("verification_request_by_component", "verification_request", ["component", "id"], unique=False)
    op.create_table(
        "verification",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("verification_by_item", "verification", ["item_id", "owner", "at"], unique=False)
    op.create_table(
        "verification_doubt",
        sa.Column("origin_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("standing", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("origin_id", "owner", "item_id"),
    )
    op.create_index(
        "verification_doubt_standing",
        "verification_doubt",
        ["item_id"],
        unique=False,
        postgresql_where=sa.text("standing"),
    )


def _leads() -> None:
    op.create_table(
        "action_record",
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("lead_id", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("corroborations", sa.Integer(), nullable=False),
        sa.Column("independent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("item_id"),
    )
    op.create_index(op.f("ix_action_record_lead_id"), "action_record", ["lead_id"], unique=False)
    op.create_table(
        "lead_outcome",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("lead_id", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("lead_outcome_by_lead", "lead_outcome", ["lead_id", "at"], unique=False)
