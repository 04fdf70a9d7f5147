"""An act that may be refused, and whose refusal stays on record although the act itself is undone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.audit.events import Actor, CallRefused
from broker.audit.recorder import record
from broker.kernel.errors import Forbidden, NotFound
from broker.storage.unit_of_work import Transaction, UnitOfWork


@asynccontextmanager
async def on_record(work: UnitOfWork, actor: Actor, route: str) -> AsyncIterator[Transaction]:
    """The transaction of an act. A refusal undoes it, and is then recorded by itself.

    The entry names the route and nothing else: it is the same for what is not there and for what is not the actor's.
    """
    try:
        async with work.begin() as tx:
            yield tx
    except (Forbidden, NotFound) as refusal:
        async with work.begin() as tx:
            await record(tx, CallRefused(actor=actor, route=route, status=refusal.status))
        raise
