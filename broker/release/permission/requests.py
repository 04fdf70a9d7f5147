"""Asking owners for permission: one question, a part for each owner.

Each owner is shown its own sources and the parts that use them, and nothing of the others'. What nobody answers
expires; it is never taken for a yes. Answers are taken in ``broker.release.permission.answers``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from broker.audit.events import (
    Actor,
    PermissionAcknowledged,
    PermissionExpired,
    PermissionInformed,
    PermissionRequested,
    PermissionWithdrawn,
    service_actor,
)
from broker.audit.recorder import record
from broker.cases.service import find as find_case
from broker.decision.service import Ancestry, DecisionService
from broker.items.ownership import owners_of
from broker.items.projection import all_resolve
from broker.jobs.outbox import Happened
from broker.kernel.errors import BrokerError, Conflict, Invalid, NotFound
from broker.kernel.ids import AgencyId, ItemId, PermissionRequestId, Subject, new_id
from broker.kernel.tree import Tree
from broker.kernel.words import Action, Role
from broker.policy.snapshot import PolicySnapshot
from broker.release.model import ReleaseRequest
from broker.release.permission.model import Part, PartState, PermissionRequest, Use
from broker.release.permission.repository import PermissionRepository
from broker.release.permission.sight import as_seen_by
from broker.release.permission.told import tell
from broker.storage.attempt import attempt
from broker.storage.unit_of_work import Transaction, UnitOfWork

LIFETIME: Final = timedelta(days=30)
"""How long owners have to answer, unless the requester asked for less."""
SWEEPER: Final = service_actor("permission-sweeper")
_EXPIRED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Question:
    """What the requester wants to be permitted."""

    request: ReleaseRequest
    owners: tuple[AgencyId, ...]
    """Whom to ask; empty for every owner in the item but the recipient and the requester's own component."""
    justification: str
    expires_at: datetime | None


class PermissionService:
    """The use cases of permission requests."""

    def __init__(self, work: UnitOfWork, door: DecisionService, requests: PermissionRepository) -> None:
        self._work = work
        self._door = door
        self._requests = requests

    async def ask(self, actor: Actor, question: Question, policy: PolicySnapshot) -> PermissionRequest:
        """Send a request to owners. The requester has to be able to look at the item."""
        wanted = question.request
        if wanted.recipient.agency not in policy.bundle.agencies or wanted.purpose not in policy.bundle.purposes:
            raise Invalid("recipient and purpose are names of the register, written exactly")
        if wanted.action is Action.VIEW:
            raise Invalid("permission is asked for release or use_in_proceedings", "/action")
        async with self._work.begin() as tx:
            if await find_case(tx, AgencyId(actor.agency), wanted.case_id) is None:
                raise Invalid("case_id names no case of your component", "/case_id")
            seen = await self._door.ancestry_within(tx, actor, wanted.item, copies=True)
            # What the door answered is on record and has to stay there, so a refusal is raised after this block.
            answer: PermissionRequest | BrokerError = NotFound()
            if seen is not None:
                answer = await attempt(tx, self._submit(tx, actor, question, seen))
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def read(self, actor: Actor, request_id: str, agencies: Tree) -> PermissionRequest:
        """A request as the actor may see it; an owner's officer who reads it has thereby acknowledged it."""
        async with self._work.begin() as tx:
            request = await self._requests.hold(tx, request_id)
            shown = as_seen_by(actor, request, agencies) if request is not None else None
            if request is None or shown is None:
                raise NotFound
            part = _own_part(actor, request)
            if part is not None and part.state is PartState.SUBMITTED:
                await self._requests.change(tx, request.id, part.owner, state=PartState.ACKNOWLEDGED.value)
                await record(
                    tx, PermissionAcknowledged(actor=actor, permission_request_id=request.id, owner=part.owner)
                )
                request = await self._requests.read(tx, request_id)
                shown = as_seen_by(actor, request, agencies) if request is not None else None
        if shown is None:
            raise NotFound
        return shown

    async def page(self, actor: Actor, after: str, limit: int, agencies: Tree) -> list[PermissionRequest]:
        """Requests that the actor may see: of the own component, or with a part for the own agency as owner."""
        async with self._work.begin() as tx:
            if Role.AUDITOR.value in actor.roles:
                found = await self._requests.page(tx, None, None, after, limit)
            elif Role.RELEASE_OFFICER.value in actor.roles:
                found = await self._requests.page(tx, None, AgencyId(actor.agency), after, limit)
            else:
                found = await self._requests.page(tx, AgencyId(actor.agency), None, after, limit)
        return [shown for one in found if (shown := as_seen_by(actor, one, agencies)) is not None]

    async def inform(self, actor: Actor, request_id: str, text: str) -> PermissionRequest:
        """The requester's answer to owners that asked back; their parts are open again."""
        async with self._work.begin() as tx:
            request = await self._own_request(tx, actor, request_id)
            asked_back = [part for part in request.parts if part.state is PartState.NEEDS_INFORMATION]
            if not asked_back:
                raise Conflict("no owner has asked for information")
            told = [part.owner for part in asked_back]
            await self._door.check_words(tx, actor, told, {"/text": text})
            for part in asked_back:
                # Kept with the part: that one owner has asked back is not for the others to know.
                said = [*part.information, text]
                await self._requests.change(
                    tx, request.id, part.owner, state=PartState.SUBMITTED.value, information=said
                )
            await tell(tx, request.id, Happened.PERMISSION_INFORMED, told, await tx.clock())
            await record(tx, PermissionInformed(actor=actor, permission_request_id=request.id))
            return await self._own_request(tx, actor, request_id)

    async def withdraw(self, actor: Actor, request_id: str) -> PermissionRequest:
        """Take back what no owner has answered yet. Grants that were given stay the owners' to revoke."""
        async with self._work.begin() as tx:
            request = await self._own_request(tx, actor, request_id)
            still_open = [part for part in request.parts if part.state.open]
            if not still_open:
                raise Conflict("every owner has answered; there is nothing to withdraw")
            for part in still_open:
                await self._requests.change(tx, request.id, part.owner, state=PartState.WITHDRAWN.value)
            told = [part.owner for part in still_open]
            await tell(tx, request.id, Happened.PERMISSION_WITHDRAWN, told, await tx.clock())
            await record(tx, PermissionWithdrawn(actor=actor, permission_request_id=request.id))
            return await self._own_request(tx, actor, request_id)

    async def expire_overdue(self) -> int:
        """End the parts that nobody answered in time; how many requests there were."""
        async with self._work.begin() as tx:
            now = await tx.clock()
            overdue = await self._requests.overdue(tx, now, _EXPIRED_AT_ONCE)
            for request in overdue:
                silent = [part.owner for part in request.parts if part.state.open]
                for owner in silent:
                    await self._requests.change(tx, request.id, owner, state=PartState.EXPIRED.value)
                await tell(tx, request.id, Happened.PERMISSION_EXPIRED, [request.component, *silent], now)
                await record(tx, PermissionExpired(actor=SWEEPER, permission_request_id=request.id))
            return len(overdue)

    async def _own_request(self, tx: Transaction, actor: Actor, request_id: str) -> PermissionRequest:
        request = await self._requests.hold(tx, request_id)
        if request is None or request.component != actor.agency:
            raise NotFound
        return request

    async def _submit(self, tx: Transaction, actor: Actor, question: Question, seen: Ancestry) -> PermissionRequest:
        wanted, item = question.request, seen.released.item
        # With fields, those whom they concern: to the others, the request would only tell that there is an item.
        places = wanted.fields if wanted.fields and all_resolve(seen.released.content, wanted.fields) else None
        possible = seen.released.lineage.concerning(places).owners - {wanted.recipient.agency}
        asked = frozenset(question.owners) or possible - {AgencyId(actor.agency)}
        if not asked:
            raise Conflict("there is no owner to ask: the item is the requester's own or the recipient's")
        if not asked <= possible:
            raise Invalid("an owner is asked who has no part in this item, or is the recipient", "/owners")
        now = await tx.clock()
        expires = min(question.expires_at or now + LIFETIME, now + LIFETIME)
        if expires <= now:
            raise Invalid("expires_at has passed already", "/expires_at")
        await self._door.check_words(tx, actor, asked, {"/justification": question.justification})
        owned = await owners_of(tx, {source.item for _, source in seen.sources} | {item.id})
        request = PermissionRequest(
            id=PermissionRequestId(new_id("req")),
            item=item.id,
            kind=item.kind,
            component=AgencyId(actor.agency),
            requested_by=Subject(actor.sub),
            requested_at=now,
            expires_at=expires,
            recipient=wanted.recipient.agency,
            action=wanted.action,
            purpose=wanted.purpose,
            case_id=wanted.case_id,
            fields=wanted.fields,
            justification=question.justification,
            parts=tuple(_part(owner, seen, owned) for owner in sorted(asked)),
        )
        await self._requests.add(tx, request)
        await tell(tx, request.id, Happened.PERMISSION_REQUESTED, asked, now)
        await record(
            tx,
            PermissionRequested(
                actor=actor,
                permission_request_id=request.id,
                item_id=item.id,
                owners=tuple(sorted(asked)),
                recipient=request.recipient,
            ),
        )
        return request


def _part(owner: AgencyId, seen: Ancestry, owned: Mapping[ItemId, frozenset[AgencyId]]) -> Part:
    return Part(
        owner=owner,
        state=PartState.SUBMITTED,
        uses=tuple(_uses(owner, seen, owned)),
        note=None,
        answered_by=None,
        answered_at=None,
        grant_id=None,
        information=(),
    )


def _uses(owner: AgencyId, seen: Ancestry, owned: Mapping[ItemId, frozenset[AgencyId]]) -> Iterable[Use]:
    content: dict[str, Any] = seen.released.content
    for number, written in enumerate(content.get("parts", ())):
        if written is None or "owners" not in written or "text" not in written:
            continue  # The requester holds other fields than this part.
        sources = sorted({source.item for part, source in seen.sources if part == number})
        mine = tuple(source for source in sources if owner in owned.get(source, frozenset()))
        # A part may use another place of such a source, and then has nothing of this owner.
        if owner in written["owners"]:
            alone = written["owners"] == [owner]
            yield Use(part=number, sources=mine, text=written["text"] if alone else None)


def _own_part(actor: Actor, request: PermissionRequest) -> Part | None:
    return request.part_of(actor.agency) if Role.RELEASE_OFFICER.value in actor.roles else None
