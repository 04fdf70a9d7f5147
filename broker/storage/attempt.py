"""Trying an act inside a transaction whose record has to stay, whatever becomes of the act."""

from collections.abc import Awaitable
from typing import TypeVar

from broker.kernel.errors import BrokerError
from broker.storage.unit_of_work import Transaction

_T = TypeVar("_T")


async def attempt(tx: Transaction, act: Awaitable[_T]) -> _T | BrokerError:
    """What *act* gives; a BrokerError undoes what it wrote and comes back as a value.

    The caller raises it after the transaction: what was read and recorded before is then committed, and not taken
    back together with the request that was refused.
    """
    try:
        async with tx.connection.begin_nested():
            return await act
    except BrokerError as refusal:
        return refusal
