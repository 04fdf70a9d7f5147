"""Tables of releases and of the accounting of disclosures."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from broker.storage.columns import moment, octets, words


class ReleaseRow(SQLModel, table=True):
    """One copy made for one recipient, sealed with a key of its own."""

    __tablename__ = "release"
    __table_args__ = (
        Index("release_by_component", "component", "id"),
        Index("release_by_recipient", "recipient", "id"),
        Index("release_held", "item_id", "recipient", "hop"),
        Index("release_by_grant", "grants", postgresql_using="gin"),
    )

    id: str = Field(primary_key=True)
    component: str
    requested_by: str
    at: datetime = Field(sa_column=moment())
    item_id: str
    recipient: str
    action: str
    purpose: str
    case_id: str
    fields: list[str] | None = Field(sa_column=words(nullable=True))
    decision_id: str
    grants: list[str] = Field(sa_column=words())
    caveats: list[str] = Field(sa_column=words())
    hop: int
    received_by: list[str] = Field(sa_column=words())
    wrapped_key: bytes = Field(sa_column=octets())
    ciphertext: bytes = Field(sa_column=octets())


class DisclosureRow(SQLModel, table=True):
    """The accounting of one disclosure: date, nature, purpose, name and address (5 USC 552a(c)(1)).

    No foreign key to the content: this outlives it.
    """

    __tablename__ = "disclosure"
    __table_args__ = (Index("disclosure_to_purge", "purge_by", postgresql_where=text("purge_by IS NOT NULL")),)

    id: str = Field(primary_key=True)
    release_id: str = Field(index=True)
    at: datetime = Field(sa_column=moment())
    nature: str
    item_id: str = Field(index=True)
    owners: list[str] = Field(sa_column=words())
    purpose: str
    recipient: str = Field(index=True)
    person: str
    address: str
    disclosed_by: str
    component: str
    purge_by: datetime | None = Field(sa_column=moment(nullable=True))


class AcceptanceRow(SQLModel, table=True):
    """That the recipient has accepted every caveat of its copy (28 CFR 23.20(e)(1)). Written once."""

    __tablename__ = "release_acceptance"

    release_id: str = Field(primary_key=True, foreign_key="release.id")
    accepted_by: str
    agency: str
    accepted_at: datetime = Field(sa_column=moment())
    caveats: list[str] = Field(sa_column=words())
