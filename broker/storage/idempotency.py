"""Idempotency keys: the same request sent twice is one act (IETF draft Idempotency-Key).

The key's row is written in the transaction of the act it stands for, so a crash leaves neither or both. While the
first call is being worked on it holds an advisory lock, which goes with its connection whatever happens to it.
"""

import hashlib
from datetime import datetime
from typing import Final

from sqlmodel import Field, SQLModel

from broker.kernel.errors import IdempotencyKeyInFlight, IdempotencyKeyReused
from broker.storage.columns import moment
from broker.storage.unit_of_work import Transaction


class IdempotencyRow(SQLModel, table=True):
    """A key of one caller on one route, and what it made."""

    __tablename__ = "idempotency_key"

    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    made: str
    at: datetime = Field(sa_column=moment())


_LOCK: Final = "SELECT pg_try_advisory_xact_lock(%s) AS taken"
_READ: Final = "SELECT fingerprint, made FROM idempotency_key WHERE scope = %s AND key = %s"
_KEEP: Final = (
    "INSERT INTO idempotency_key (scope, key, fingerprint, made, at) VALUES (%s, %s, %s, %s, clock_timestamp())"
)


async def claim(tx: Transaction, scope: str, key: str, fingerprint: str) -> str | None:
    """Take the key for this transaction; gives the id of what an earlier call with it made, or None.

    *scope* names caller and route, *fingerprint* is a hash of the whole request. Raises IdempotencyKeyInFlight
    while another transaction holds the key, IdempotencyKeyReused when it was used for another request.
    """
    digest = hashlib.sha256(f"{scope}\n{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    [lock] = await tx.rows(_LOCK, (number,))
    if not lock.taken:
        raise IdempotencyKeyInFlight
    found = await tx.rows(_READ, (scope, key))
    if not found:
        return None
    [row] = found
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return str(row.made)


async def keep(tx: Transaction, scope: str, key: str, fingerprint: str, made: str) -> None:
    """Remember what the key made. Refusals are not remembered: asked again, they are decided again."""
    await tx.write(_KEEP, (scope, key, fingerprint, made))
