"""Writing one audit row in the transaction of the act: no row, no act.

It refuses an event whose subjects or detail could not be hashed the same way for ever (a float, an integer beyond
2^53, NUL in a text), so that the sequencer never meets one.
"""

import json
from typing import Any, Final

from broker.audit.events import AuditEvent
from broker.kernel.errors import Invalid
from broker.kernel.ids import new_id
from broker.storage.unit_of_work import Transaction

_INSERT: Final = (
    b"INSERT INTO audit_entry (event_id, tag, actor_sub, actor_agency, actor_roles, actor_kind, subjects, detail)"
    b" VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
_MAX_INTEGER: Final = 2**53 - 1
_MAX_DEPTH: Final = 8


async def record(tx: Transaction, event: AuditEvent) -> str:
    """Write *event* as one row of the open transaction, one round trip, and give its id (``evt_…``).

    `at` and the transaction are the database's. Raises Invalid for text that cannot be stored, TypeError for a value
    that an event class should never hold; both end the act.
    """
    event_id = new_id("evt")
    actor = event.actor
    for word in (actor.sub, actor.agency, *actor.roles):
        check_text(word)
    subjects, detail = _document(event.subjects), _document(event.detail())
    # The driver itself, because this is on the way of every request: Core costs about as much again as the insert.
    driver = await tx.driver()
    await driver.execute(
        _INSERT,
        (event_id, event.tag, actor.sub, actor.agency, list(actor.roles), actor.kind, subjects, detail),
    )
    return event_id


def _document(value: dict[str, Any]) -> str:
    _check(value, 0)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _check(value: object, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise TypeError("an audit event is nested too deeply")
    match value:
        case None | bool():
            pass
        case str():
            check_text(value)
        case int():
            if abs(value) > _MAX_INTEGER:
                raise TypeError("an audit event holds an integer that not every reader keeps exactly")
        case list():
            for item in value:
                _check(item, depth + 1)
        case dict():
            for name, item in value.items():
                check_text(name)
                _check(item, depth + 1)
        case _:
            raise TypeError(f"an audit event holds a {type(value).__name__}")


def check_text(value: str) -> None:
    """Raise Invalid for a text that PostgreSQL cannot hold, rather than let the driver fail on it."""
    if "\0" in value or not (value.isascii() or _encodable(value)):
        raise Invalid("a text holds a character that cannot be stored")


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
