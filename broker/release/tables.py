"""Tables of releases and of the accounting of disclosures."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from broker.storage.columns import moment, octets, words


class ReleaseRow(SQLModel, table=True):
    """One copy made for one recipient, sealed with a key of its own."""

    __tablename__ = "release"

    id: str = Field(primary_key=True)
    component: str = Field(index=True)
    requested_by: str
    at: datetime = Field(sa_column=moment())
    item_id: str = Field(index=True)
    recipient: str = Field(index=True)
    action: str
    purpose: str
    case_id: str
    fields: list[str] | None = Field(sa_column=words(nullable=True))
    decision_id: str
    grants: list[str] = Field(sa_column=words())
    wrapped_key: bytes = Field(sa_column=octets())
    ciphertext: bytes = Field(sa_column=octets())


class DisclosureRow(SQLModel, table=True):
    """The accounting of one disclosure: date, nature, purpose, name and address (5 USC 552a(c)(1)).

    No foreign key to the content: this outlives it.
    """

    __tablename__ = "disclosure"

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
