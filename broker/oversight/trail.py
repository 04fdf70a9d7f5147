"""The audit as its readers see it: an auditor all of it, others the acts of their own agency. Reading is recorded."""

from broker.audit import reader
from broker.audit.checkpoint import Checkpoint
from broker.audit.events import Actor, AuditRead, CallRefused
from broker.audit.reader import Filters, InclusionProof, Page, Scope
from broker.audit.recorder import record
from broker.kernel.errors import NotFound
from broker.kernel.words import Role
from broker.storage.unit_of_work import UnitOfWork


class AuditTrail:
    """Reads the audit for people, and notes what was refused at the edge before any use case was reached."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    async def entries(self, actor: Actor, filters: Filters, after: str | None, limit: int) -> Page:
        """A page of entries, newest first."""
        async with self._work.begin() as tx:
            page = await reader.entries(tx, _scope(actor), filters, after, limit)
            await record(tx, AuditRead(actor=actor, query=filters.model_dump_json(exclude_none=True)))
        return page

    async def checkpoint(self, actor: Actor) -> Checkpoint:
        """The newest signed head; NotFound before the first entry was sequenced."""
        async with self._work.begin() as tx:
            checkpoint = await reader.latest_checkpoint(tx)
            await record(tx, AuditRead(actor=actor, query="checkpoint"))
        if checkpoint is None:
            raise NotFound
        return checkpoint

    async def proof(self, actor: Actor, event_id: str) -> InclusionProof:
        """A proof that an entry is part of the newest checkpoint."""
        async with self._work.begin() as tx:
            proof = await reader.inclusion_proof(tx, _scope(actor), event_id)
            await record(tx, AuditRead(actor=actor, query="proof"))
        return proof

    async def refused(self, actor: Actor, route: str, status: int) -> None:
        """Note a call that the caller's roles do not allow."""
        async with self._work.begin() as tx:
            await record(tx, CallRefused(actor=actor, route=route, status=status))


def _scope(actor: Actor) -> Scope:
    return reader.EVERYTHING if Role.AUDITOR.value in actor.roles else Scope(agencies=(actor.agency,))
