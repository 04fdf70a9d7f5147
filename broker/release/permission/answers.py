"""Owners' answers to permission requests. One that grants creates the grant in the same commit.

Who may speak for an owner is the register of permission's to check; here it is checked, too.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.audit.events import Actor, PermissionAnswered
from broker.audit.recorder import record
from broker.grants.duties import Duty
from broker.grants.model import Evidence, Grant, GrantStatus, Scope, Terms
from broker.grants.service import GrantService
from broker.jobs.outbox import Happened
from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from broker.kernel.ids import AgencyId, GrantId
from broker.kernel.words import Role
from broker.policy.snapshot import PolicySnapshot
from broker.release.permission.model import ANSWERS, GRANTING, Part, PartState, PermissionRequest
from broker.release.permission.repository import PermissionRepository
from broker.release.permission.sight import as_seen_by
from broker.release.permission.told import tell
from broker.storage.unit_of_work import Transaction

GRANT_LIFETIME: Final = timedelta(days=30)
"""How long an owner's answer permits, unless the owner said otherwise."""


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
    max_hops: int | None = None
    duties: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer that counts."""

    decision: PartState
    note: str | None
    grant_id: GrantId | None


class AnswerService:
    """Takes owners' answers."""

    def __init__(self, grants: GrantService, requests: PermissionRepository) -> None:
        self._grants = grants
        self._requests = requests

    async def answer(self, actor: Actor, request_id: str, answer: Answer, policy: PolicySnapshot) -> PermissionRequest:
        """An owner's answer. One that grants creates the grant, exactly for what was asked or for less."""
        if answer.decision not in ANSWERS:
            raise Invalid(f"an answer is one of {', '.join(sorted(ANSWERS))}", "/decision")
        async with self._grants.act(actor, "answer") as tx:
            request = await self._requests.hold(tx, request_id)
            if request is None or as_seen_by(actor, request, policy.bundle.agencies) is None:
                raise NotFound
            part = _answerable(actor, request, answer)
            now = await tx.clock()
            if request.expires_at <= now:
                raise Conflict("the request has expired; a new one can be asked")
            if part.grant_id is not None:
                await self._grants.drop_pending(tx, actor, part.grant_id, f"answered otherwise: {answer.decision}")
            grant = None
            if answer.decision in GRANTING:
                terms = _terms(request, part.owner, answer, now)
                grant = await self._grants.record_within(tx, actor, terms, policy, now)
            if grant is not None and grant.status is GrantStatus.PENDING:
                # Until the second person's word nothing is answered, and the owner may say something else.
                await self._requests.change(
                    tx,
                    request.id,
                    part.owner,
                    state=PartState.ACKNOWLEDGED.value,
                    note=answer.note,
                    grant_id=grant.id,
                )
            else:
                said = _Said(answer.decision, answer.note, grant.id if grant is not None else None)
                await self._settle(tx, actor, request, part, said, now)
            answered = await self._requests.read(tx, request_id)
        if answered is None or (shown := as_seen_by(actor, answered, policy.bundle.agencies)) is None:
            raise NotFound
        return shown

    async def confirm(self, actor: Actor, grant_id: str, policy: PolicySnapshot) -> Grant:
        """The second person's word on a grant; where it is the answer to a request, that is answered by it."""
        async with self._grants.act(actor, "confirm") as tx:
            # The request first, as for every answer, so that none waits for another in a ring.
            request = await self._requests.hold_of_grant(tx, grant_id)
            grant = await self._grants.confirm_within(tx, actor, grant_id, policy.bundle.agencies)
            part = request.part_of(grant.terms.owner) if request is not None else None
            if request is not None and part is not None and part.state.open:
                said = _Said(_decision(request, grant.terms), part.note, grant.id)
                await self._settle(tx, actor, request, part, said, await tx.clock())
        return grant

    async def _settle(  # the part, who answered it and with what
        self,
        tx: Transaction,
        actor: Actor,
        request: PermissionRequest,
        part: Part,
        said: _Said,
        now: datetime,
    ) -> None:
        await self._requests.change(
            tx,
            request.id,
            part.owner,
            state=said.decision.value,
            note=said.note,
            answered_by=actor.sub,
            answered_at=now,
            grant_id=said.grant_id,
        )
        await tell(tx, request.id, Happened.PERMISSION_ANSWERED, [request.component], now)
        await record(
            tx,
            PermissionAnswered(
                actor=actor,
                permission_request_id=request.id,
                grant_id=said.grant_id,
                owner=part.owner,
                outcome=said.decision.value,
            ),
        )


def _answerable(actor: Actor, request: PermissionRequest, answer: Answer) -> Part:
    """The open part that the actor answers; who may speak for the owner is the register's to check, and here, too."""
    if actor.sub == request.requested_by:
        raise Forbidden("the one who asked for a permission does not answer for its owner")
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


def _decision(request: PermissionRequest, terms: Terms) -> PartState:
    """Which of the answers that grant these terms are."""
    if terms.fields != request.fields:
        return PartState.PARTIALLY_GRANTED
    conditions = terms.caveats or terms.duties or terms.max_uses is not None
    return PartState.GRANTED_WITH_CONDITIONS if conditions else PartState.GRANTED


def _terms(request: PermissionRequest, owner: AgencyId, answer: Answer, now: datetime) -> Terms:
    limited = answer.max_uses is not None or answer.valid_until is not None
    conditions = answer.caveats or answer.duties or limited
    if answer.decision is PartState.GRANTED_WITH_CONDITIONS and not conditions:
        raise Invalid("say the conditions: caveats, duties, max_uses or valid_until", "/decision")
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
        max_hops=answer.max_hops,
        duties=answer.duties,
    )


def _own_evidence(request: PermissionRequest, owner: AgencyId) -> Evidence:
    """An officer's answer given here is its own evidence: the request as it was put, by its hash."""
    asked = request.model_dump_json(exclude={"parts"})
    return Evidence(reference=f"answer of {owner} to {request.id}", sha256=hashlib.sha256(asked.encode()).hexdigest())
