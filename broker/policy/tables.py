"""Where bundles lie, by digest, so that a process which did not load one can fetch it; and which one is in force."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class PolicyBundleRow(SQLModel, table=True):
    """One bundle, kept for good: a decision made under it must be explicable years later."""

    __tablename__ = "policy_bundle"

    digest: str = Field(primary_key=True, sa_type=sa.Text)
    files: dict[str, Any] = Field(sa_type=JSONB)
    """Path to text. The files are strict UTF-8 without control characters, so text and bytes are the same thing."""
    loaded_at: datetime = Field(
        sa_type=sa.DateTime(timezone=True), sa_column_kwargs={"server_default": sa.func.clock_timestamp()}
    )
    loaded_by: str = Field(sa_type=sa.Text)


class AgencyPlaceRow(SQLModel, table=True):
    """Where an agency stands in the tree, and since when; written with each activation that moves it."""

    __tablename__ = "agency_place"

    agency: str = Field(primary_key=True, sa_type=sa.Text)
    chain: list[str] = Field(sa_type=sa.ARRAY(sa.Text))
    """The agency itself, then its parent, up to its department."""
    since: datetime | None = Field(sa_type=sa.DateTime(timezone=True))
    """None: since before the first activation, for ever as far as the broker knows."""


class PolicyInForceRow(SQLModel, table=True):
    """The one row that says which bundle decides. Activation updates it; each decision share-locks it."""

    __tablename__ = "policy_in_force"
    __table_args__ = (sa.CheckConstraint("singleton", name="policy_in_force_is_one_row"),)

    singleton: bool = Field(default=True, primary_key=True)
    digest: str = Field(foreign_key="policy_bundle.digest", sa_type=sa.Text)
    activated_at: datetime = Field(
        sa_type=sa.DateTime(timezone=True), sa_column_kwargs={"server_default": sa.func.clock_timestamp()}
    )
    activated_by: str = Field(sa_type=sa.Text)


class PolicyFolderRow(SQLModel, table=True):
    """What the policy folder of one host said when a process last took note of it.

    So that a folder which nobody has changed is told from one that an author has, also across restarts.
    """

    __tablename__ = "policy_folder"

    host: str = Field(primary_key=True, sa_type=sa.Text)
    path: str = Field(primary_key=True, sa_type=sa.Text)
    digest: str = Field(sa_type=sa.Text)
    at: datetime = Field(sa_type=sa.DateTime(timezone=True))
