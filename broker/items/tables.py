"""Tables of items. Rows are written once; only the key of a purged content is ever destroyed."""

from datetime import datetime

from sqlalchemy import ARRAY, Column, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from broker.storage.columns import moment, octets, words


class ItemRow(SQLModel, table=True):
    """An item; its content sealed with a key of its own."""

    __tablename__ = "item"

    id: str = Field(primary_key=True)
    kind: str
    case_id: str = Field(index=True)
    purpose: str | None
    author: str
    component: str
    search_id: str | None
    candidates: int
    created_at: datetime = Field(sa_column=moment())
    expires_at: datetime | None = Field(sa_column=moment(nullable=True))
    content_sha256: str
    wrapped_key: bytes = Field(sa_column=octets())
    ciphertext: bytes = Field(sa_column=octets())


class MarkingRow(SQLModel, table=True):
    """One marking of an item, copied into it at birth."""

    __tablename__ = "item_marking"

    item_id: str = Field(primary_key=True, foreign_key="item.id")
    ordinal: int = Field(primary_key=True)
    owner: str = Field(index=True)
    custodian: str
    source_system: str | None
    source_reference: str | None
    agreement: str | None
    caveats: list[str] = Field(sa_column=words())
    asked_by: str
    case_id: str
    at: datetime = Field(sa_column=moment())
    selectors: list[str] | None = Field(sa_column=words(nullable=True))
    """The places of the content that it is about; NULL is the whole."""


class RootRow(SQLModel, table=True):
    """A candidate list that an item derives from, however far back; a list is its own root."""

    __tablename__ = "item_root"

    item_id: str = Field(primary_key=True, foreign_key="item.id")
    root_id: str = Field(primary_key=True, index=True)


class SourceRow(SQLModel, table=True):
    """Which source a part of a derived item uses. No foreign key: the source may be gone one day, this stays."""

    __tablename__ = "item_source"

    item_id: str = Field(primary_key=True, foreign_key="item.id")
    part: int = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    source_id: str = Field(index=True)
    selector: str | None


class HeldUnderRow(SQLModel, table=True):
    """A release under which the author's component held something that a derived item is made of.

    Copied from source to derived item, so that nobody has to walk. No foreign key, as for sources.
    """

    __tablename__ = "item_held_under"

    item_id: str = Field(primary_key=True, foreign_key="item.id")
    release_id: str = Field(primary_key=True, index=True)


class FingerprintRow(SQLModel, table=True):
    """The keyed hash of something that an item says. No foreign key: the item may be gone, its copies may not."""

    __tablename__ = "item_fingerprint"
    __table_args__ = (Index("item_fingerprint_by_mac", "mac"),)

    item_id: str = Field(primary_key=True)
    mac: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    places: list[str] = Field(sa_column=Column(ARRAY(Text), primary_key=True))
    own_of: str | None
    """The component whose own words these are, if they are anybody's."""


class HandedOutRow(SQLModel, table=True):
    """An agency was given an item (`extent` is empty) or a field of it."""

    __tablename__ = "handed_out"

    agency: str = Field(primary_key=True)
    item_id: str = Field(primary_key=True, index=True)
    extent: str = Field(primary_key=True)
