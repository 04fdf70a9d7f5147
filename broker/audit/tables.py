"""Tables of the audit. Rows are inserted and never changed; `broker.audit.ddl` makes the database refuse the rest.

No foreign keys between them: checking one would lock, and so rewrite, each entry when it gets its leaf. That leaves
and entries belong together is what the verifier shows, also against somebody who can drop a constraint.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, Index, SmallInteger, Text, text
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field, SQLModel

from broker.storage.columns import document, moment, octets, words


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id, which never wraps around. The driver reads it as a string of digits."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


class AuditEntryRow(SQLModel, table=True):
    """One act. The database itself fills in `id`, `at` and `xact`: the service may not choose them."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        CheckConstraint("jsonb_typeof(subjects) = 'object'", name="audit_entry_subjects_object"),
        CheckConstraint("jsonb_typeof(detail) = 'object'", name="audit_entry_detail_object"),
        Index("audit_entry_order", "xact", "id"),  # what the sequencer walks
        Index("audit_entry_at", "at", "id"),
        Index("audit_entry_tag", "tag", "at", "id"),
        Index("audit_entry_actor", "actor_sub", "at", "id"),
        Index("audit_entry_agency", "actor_agency", "at", "id"),
        Index("audit_entry_subjects", "subjects", postgresql_using="gin"),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    event_id: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), server_default=text("clock_timestamp()"), nullable=False)
    )
    tag: str = Field(sa_column=Column(Text, nullable=False))
    actor_sub: str = Field(sa_column=Column(Text, nullable=False))
    actor_agency: str = Field(sa_column=Column(Text, nullable=False))
    actor_roles: list[str] = Field(sa_column=words())
    actor_kind: str = Field(sa_column=Column(Text, nullable=False))
    subjects: dict[str, str] = Field(sa_column=document())
    detail: dict[str, Any] = Field(sa_column=document())
    xact: str = Field(sa_column=Column(Xid8, server_default=text("pg_current_xact_id()"), nullable=False))
    """The transaction of the act; see `broker.audit.sequencer` for why order is by it first."""


class AuditLeafRow(SQLModel, table=True):
    """Which entry is which leaf of the tree. `xact` is the entry's: how far the sequencer has come."""

    __tablename__ = "audit_leaf"
    __table_args__ = (CheckConstraint("octet_length(leaf_hash) = 32", name="audit_leaf_hash_length"),)

    index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    entry_id: int = Field(sa_column=Column(BigInteger, unique=True, nullable=False))
    xact: str = Field(sa_column=Column(Xid8, nullable=False))
    leaf_hash: bytes = Field(sa_column=octets())


class AuditNodeRow(SQLModel, table=True):
    """The hash over the 2^level leaves from index·2^level on; only complete subtrees, so it never changes."""

    __tablename__ = "audit_node"
    __table_args__ = (CheckConstraint("octet_length(hash) = 32", name="audit_node_hash_length"),)

    level: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    hash: bytes = Field(sa_column=octets())


class AuditCheckpointRow(SQLModel, table=True):
    """A signed head of the tree, and the root over the leaves that came since the one before."""

    __tablename__ = "audit_checkpoint"

    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=octets())
    since: int = Field(sa_column=Column(BigInteger, nullable=False))
    since_root: bytes = Field(sa_column=octets())
    at: datetime = Field(sa_column=moment())
    key_id: str = Field(sa_column=Column(Text, nullable=False))
    signature: bytes = Field(sa_column=octets())
