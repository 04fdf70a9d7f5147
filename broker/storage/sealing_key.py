"""Which key the database's content is sealed with: one row, written at the first start and never changed."""

import hmac
from datetime import datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from broker.kernel.errors import ConfigurationError
from broker.storage.columns import octets
from broker.storage.keys import load_or_create
from broker.storage.sealing import KEY_BYTES, Sealer, make_key
from broker.storage.unit_of_work import Transaction


class SealingKeyRow(SQLModel, table=True):
    """The name of the key. From the name nobody gets the key."""

    __tablename__ = "sealing_key"
    __table_args__ = (sa.CheckConstraint("singleton", name="sealing_key_is_one_row"),)

    singleton: bool = Field(default=True, primary_key=True)
    name: bytes = Field(sa_column=octets())
    noted_at: datetime = Field(
        sa_type=sa.DateTime(timezone=True), sa_column_kwargs={"server_default": sa.func.clock_timestamp()}
    )


_NOTED: Final = "SELECT name FROM sealing_key"
_NOTE: Final = "INSERT INTO sealing_key (singleton, name) VALUES (true, %s) ON CONFLICT DO NOTHING"
_COPY: Final = "copy keys/ from a machine that serves it"


async def sealer_for(tx: Transaction, file: Path, sealed_before: tuple[bytes, str] | None) -> Sealer:
    """The sealer with the key in *file*, which is made if nothing was sealed in this database yet.

    *sealed_before* is a wrapped key and what it is bound to, of anything that the database holds: before there was a
    row for the key's name, that alone tells whose database it is. Raises ConfigurationError for any other key, and
    where there is none: what is sealed with one that only this machine has could be opened nowhere else.
    """
    noted = await _noted(tx)
    sealer = load_sealer(file, first=noted is None and sealed_before is None)
    if noted is None and (sealed_before is None or sealer.wrapped(*sealed_before)):
        await tx.write(_NOTE, (sealer.name,))
        noted = await _noted(tx)  # Of two first starts at once, the other one's.
    if noted is None or not hmac.compare_digest(noted, sealer.name):
        raise ConfigurationError(f"{file} is not the key that this database's content was sealed with; {_COPY}")
    return sealer


def load_sealer(file: Path, *, first: bool) -> Sealer:
    """The sealer with the key in *file*, made if it is the database's *first*. Raises ConfigurationError otherwise."""
    if not first and not file.exists():
        raise ConfigurationError(f"there is no {file}, with which this database's content was sealed; {_COPY}")
    key = load_or_create(file, make_key)
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{file} must hold a sealing key of exactly {KEY_BYTES} bytes, and holds {len(key)}")
    return Sealer(key)


async def _noted(tx: Transaction) -> bytes | None:
    rows = await tx.rows(_NOTED)
    return bytes(rows[0].name) if rows else None
