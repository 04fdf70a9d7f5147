"""Asking owners for permission, and their answers.

Each owner is shown its own sources and the parts that use them, and nothing of the others'. An answer that grants
creates the grant in the same commit. What nobody answers expires; it is never taken for a yes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from broker.audit.events import (
    Actor,
    PermissionAcknowledged,
    PermissionAnswered,
    PermissionExpired,
    PermissionInformed,
    PermissionRequested,
    PermissionWithdrawn,
    service_actor,
)
from broker.audit.recorder import record
from broker.cases.service import find as find_case
from broker.decision.service import Ancestry, DecisionService
from broker.grants.model import Evidence, Scope, Terms
from broker.grants.service import GrantService
from broker.items.ownership import owners_of
from broker.kernel.errors import BrokerError, Conflict, Forbidden, Invalid, NotFound
from broker.kernel.ids import AgencyId, GrantId, ItemId, PermissionRequestId, Subject, new_id
from broker.kernel.tree import Tree
from broker.kernel.words import Action, Role
from broker.policy.snapshot import PolicySnapshot
from broker.release.model import ReleaseRequest
from broker.release.permission import ANSWERS, GRANTING, Part, PartState, PermissionRequest, Use
from broker.release.permission_repository import PermissionRepository
from broker.storage.attempt import attempt
from broker.storage.unit_of_work import Transaction, UnitOfWork

LIFETIME: Final = timedelta(days=30)
"""How long owners have to answer, unless the requester asked for less."""
GRANT_LIFETIME: Final = timedelta(days=30)
"""How long an owner's answer permits, unless the owner said otherwise."""
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What an owner says. The terms matter only where it grants; None leaves them as asked."""

    owner: AgencyId | None
    decision: PartState
    note: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    max_uses: int | None
    onward: bool
    caveats: tuple[str, ...]
    fields: tuple[str, ...] | None
    evidence: Evidence | None


class PermissionService:
    """The use cases of permission requests."""

    def __init__(
        self, work: UnitOfWork, door: DecisionService, grants: GrantService, requests: PermissionRepository
    ) -> None:
        self._work = work
        self._door = door
        self._grants = grants
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
            seen = await self._door.ancestry_within(tx, actor, wanted.item)
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
            shown = _as_seen_by(actor, request, agencies) if request is not None else None
            if request is None or shown is None:
                raise NotFound
            part = _own_part(actor, request)
            if part is not None and part.state is PartState.SUBMITTED:
                await self._requests.change(tx, request.id, part.owner, state=PartState.ACKNOWLEDGED.value)
                await record(
                    tx, PermissionAcknowledged(actor=actor, permission_request_id=request.id, owner=part.owner)
                )
                request = await self._requests.read(tx, request_id)
                shown = _as_seen_by(actor, request, agencies) if request is not None else None
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
        return [shown for one in found if (shown := _as_seen_by(actor, one, agencies)) is not None]

    async def answer(self, actor: Actor, request_id: str, answer: Answer, policy: PolicySnapshot) -> PermissionRequest:
        """An owner's answer. One that grants creates the grant, exactly for what was asked or for less."""
        if answer.decision not in ANSWERS:
            raise Invalid(f"an answer is one of {', '.join(sorted(ANSWERS))}", "/decision")
        async with self._work.begin() as tx:
            request = await self._requests.hold(tx, request_id)
            if request is None or _as_seen_by(actor, request, policy.bundle.agencies) is None:
                raise NotFound
            part = _answerable(actor, request, answer)
            now = await tx.clock()
            if request.expires_at <= now:
                raise Conflict("the request has expired; a new one can be asked")
            grant_id = None
            if answer.decision in GRANTING:
                terms = _terms(request, part.owner, answer, now)
                grant_id = (await self._grants.record_within(tx, actor, terms, policy, now)).id
            await self._settle(tx, actor, request, part, answer, grant_id, now)
            answered = await self._requests.read(tx, request_id)
        if answered is None or (shown := _as_seen_by(actor, answered, policy.bundle.agencies)) is None:
            raise NotFound
        return shown

    async def inform(self, actor: Actor, request_id: str, text: str) -> PermissionRequest:
        """The requester's answer to owners that asked back; their parts are open again."""
        async with self._work.begin() as tx:
            request = await self._own_request(tx, actor, request_id)
            asked_back = [part for part in request.parts if part.state is PartState.NEEDS_INFORMATION]
            if not asked_back:
                raise Conflict("no owner has asked for information")
            for part in asked_back:
                # Kept with the part: that one owner has asked back is not for the others to know.
                said = [*part.information, text]
                await self._requests.change(
                    tx, request.id, part.owner, state=PartState.SUBMITTED.value, information=said
                )
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
            await record(tx, PermissionWithdrawn(actor=actor, permission_request_id=request.id))
            return await self._own_request(tx, actor, request_id)

    async def expire_overdue(self) -> int:
        """End the parts that nobody answered in time; how many requests there were."""
        async with self._work.begin() as tx:
            overdue = await self._requests.overdue(tx, await tx.clock(), _EXPIRED_AT_ONCE)
            for request in overdue:
                for part in request.parts:
                    if part.state.open:
                        await self._requests.change(tx, request.id, part.owner, state=PartState.EXPIRED.value)
                await record(tx, PermissionExpired(actor=SWEEPER, permission_request_id=request.id))
            return len(overdue)

    async def _own_request(self, tx: Transaction, actor: Actor, request_id: str) -> PermissionRequest:
        request = await self._requests.hold(tx, request_id)
        if request is None or request.component != actor.agency:
            raise NotFound
        return request

    async def _submit(self, tx: Transaction, actor: Actor, question: Question, seen: Ancestry) -> PermissionRequest:
        wanted, item = question.request, seen.released.item
        possible = item.lineage.owners - {wanted.recipient.agency}
        asked = frozenset(question.owners) or possible - {AgencyId(actor.agency)}
        if not asked:
            raise Conflict("there is no owner to ask: the item is the requester's own or the recipient's")
        if not asked <= possible:
            raise Invalid("an owner is asked who has no part in this item, or is the recipient", "/owners")
        now = await tx.clock()
        expires = min(question.expires_at or now + LIFETIME, now + LIFETIME)
        if expires <= now:
            raise Invalid("expires_at has passed already", "/expires_at")
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

    async def _settle(  # the part, who answered it and with what
        self,
        tx: Transaction,
        actor: Actor,
        request: PermissionRequest,
        part: Part,
        answer: Answer,
        grant_id: GrantId | None,
        now: datetime,
    ) -> None:
        await self._requests.change(
            tx,
            request.id,
            part.owner,
            state=answer.decision.value,
            note=answer.note,
            answered_by=actor.sub,
            answered_at=now,
            grant_id=grant_id,
        )
        await record(
            tx,
            PermissionAnswered(
                actor=actor,
                permission_request_id=request.id,
                grant_id=grant_id,
                owner=part.owner,
                outcome=answer.decision.value,
            ),
        )


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
        sources = sorted({source.item for part, source in seen.sources if part == number})
        mine = tuple(source for source in sources if owner in owned.get(source, frozenset()))
        if mine or written["owners"] == [owner]:
            alone = written["owners"] == [owner]
            yield Use(part=number, sources=mine, text=written["text"] if alone else None)


def _as_seen_by(actor: Actor, request: PermissionRequest, agencies: Tree) -> PermissionRequest | None:
    """The request with what is not the actor's to see taken out; None when it is not theirs at all."""
    if request.component == actor.agency and Role.ANALYST.value in actor.roles:
        return request
    if Role.RELEASE_OFFICER.value in actor.roles:
        part = request.part_of(actor.agency)
        return None if part is None else request.model_copy(update={"parts": (part,)})
    # A liaison stands outside both sides, as it must to record an answer.
    sides = {agencies.root(request.component), agencies.root(request.recipient), None}
    outside = Role.LIAISON.value in actor.roles and agencies.root(actor.agency) not in sides
    if Role.AUDITOR.value in actor.roles or outside:
        bare = tuple(part.model_copy(update={"uses": (), "information": ()}) for part in request.parts)
        return request.model_copy(update={"parts": bare})
    return None


def _own_part(actor: Actor, request: PermissionRequest) -> Part | None:
    return request.part_of(actor.agency) if Role.RELEASE_OFFICER.value in actor.roles else None


def _answerable(actor: Actor, request: PermissionRequest, answer: Answer) -> Part:
    """The open part that the actor answers; who may speak for the owner is the register's to check, and here, too."""
    officer = Role.RELEASE_OFFICER.value in actor.roles
    owner = answer.owner or (AgencyId(actor.agency) if officer else None)
    if owner is None:
        raise Invalid("a liaison says for which owner the answer is", "/owner")
    if officer and owner != actor.agency:
        raise Forbidden("an officer answers for the own agency")
    if not officer and answer.evidence is None:
        raise Invalid("a liaison's answer needs the owner's evidence", "/evidence")
    if not officer and answer.decision not in GRANTING:
        raise Forbidden("a liaison records what an owner has granted; refusals are the owner's own")
    part = request.part_of(owner)
    if part is None:
        raise NotFound
    if not part.state.open:
        raise Conflict(f"this part is {part.state} already")
    return part


def _terms(request: PermissionRequest, owner: AgencyId, answer: Answer, now: datetime) -> Terms:
    conditions = answer.caveats or answer.max_uses is not None or answer.valid_until is not None
    if answer.decision is PartState.GRANTED_WITH_CONDITIONS and not conditions:
        raise Invalid("say the conditions: caveats, max_uses or valid_until", "/decision")
    if answer.decision is PartState.PARTIALLY_GRANTED and not answer.fields:
        raise Invalid("say which fields are granted", "/fields")
    return Terms(
        owner=owner,
        recipients=(request.recipient,),
        include_components=False,
        action=request.action,
        purposes=(request.purpose,),
        include_subpurposes=False,
        scope=Scope(items=(request.item,)),
        fields=answer.fields if answer.fields is not None else request.fields,
        valid_from=answer.valid_from or now,
        valid_until=answer.valid_until or (answer.valid_from or now) + GRANT_LIFETIME,
        max_uses=answer.max_uses,
        onward=answer.onward,
        caveats=answer.caveats,
        evidence=answer.evidence or _own_evidence(request, owner),
    )


def _own_evidence(request: PermissionRequest, owner: AgencyId) -> Evidence:
    """An officer's answer given here is its own evidence: the request as it was put, by its hash."""
    asked = request.model_dump_json(exclude={"parts"})
    return Evidence(reference=f"answer of {owner} to {request.id}", sha256=hashlib.sha256(asked.encode()).hexdigest())
