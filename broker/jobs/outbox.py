"""Telling an agency that something happened: a row in the transaction of the act. No row, no act.

A message says what happened and to which ids, and nothing else: neither content nor another agency's name. Whoever
gets it asks for the rest, and is shown what is theirs to see. It is brought by ``broker.notify``, at least once.
"""

import json
from typing import Final

from broker.jobs.model import Happened, Message
from broker.kernel.ids import new_id
from broker.storage.unit_of_work import Transaction

__all__ = ["Happened", "Message", "post"]

_POST: Final = (
    "INSERT INTO notification (id, recipient, subject, about, at, attempts, next_attempt_at)"
    " VALUES (%s, %s, %s, %s, %s, 0, clock_timestamp())"
)


async def post(tx: Transaction, message: Message) -> None:
    """Promise, in the transaction of the act, to tell an agency. *message* names no agency but the one told."""
    about = json.dumps(dict(message.about), sort_keys=True)
    await tx.write(_POST, (new_id("ntf"), message.to, message.subject.value, about, message.at))
