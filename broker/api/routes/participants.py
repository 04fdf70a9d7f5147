"""Participants of a partner that verifies, for those of the component who must know of them."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, PageDep, ServicesDep, policy_of
from broker.api.schemas.participants import (
    EndOfEnrolment,
    NewParticipant,
    NewTerms,
    ParticipantList,
    ParticipantReply,
    participant_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.kernel.errors import Forbidden
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1/participants", tags=["participants"])

_Recorder = Annotated[Caller, Depends(Allowed(Act.PARTICIPANT_RECORD))]
_Reader = Annotated[Caller, Depends(Allowed(Act.PARTICIPANT_READ))]


@router.post("", status_code=201)
async def enrol_participant(body: NewParticipant, caller: _Recorder, held: ServicesDep) -> ParticipantReply:
    """Register somebody as enrolled. Before they have accepted the terms of use, nothing is asked about them."""
    partners = policy_of(held).bundle.partners
    known = frozenset(caller.partners)
    try:
        made = await held.participants.enrol(caller.actor, known, partners, body.partner, body.reference)
    except Forbidden:
        await held.trail.refused(caller.actor, Act.PARTICIPANT_RECORD.value, Forbidden.status)
        raise
    return participant_reply(made)


@router.get("")
async def list_participants(page: PageDep, caller: _Reader, held: ServicesDep) -> ParticipantList:
    """The component's participants with the partners that the caller is enrolled for."""
    partners = policy_of(held).bundle.partners
    known = frozenset(caller.partners)
    found = await held.participants.page(caller.actor, known, partners, page.after, page.one_more)
    shown, following = page.cut(found)
    return ParticipantList(items=[participant_reply(one) for one in shown], next=following, complete=following is None)


@router.get("/{participant_id}")
async def read_participant(participant_id: OpaqueId, caller: _Reader, held: ServicesDep) -> ParticipantReply:
    """One participant."""
    partners = policy_of(held).bundle.partners
    return participant_reply(
        await held.participants.read(caller.actor, frozenset(caller.partners), partners, participant_id)
    )


@router.post("/{participant_id}/terms", status_code=201)
async def record_acceptance(
    participant_id: OpaqueId, body: NewTerms, caller: _Recorder, held: ServicesDep
) -> ParticipantReply:
    """Record that the participant accepted the terms of use in force."""
    partners = policy_of(held).bundle.partners
    known = frozenset(caller.partners)
    return participant_reply(
        await held.participants.accept(caller.actor, known, partners, participant_id, body.version, body.accepted_at)
    )


@router.post("/{participant_id}/end")
async def end_enrolment(
    participant_id: OpaqueId, body: EndOfEnrolment, caller: _Recorder, held: ServicesDep
) -> ParticipantReply:
    """End an enrolment. What is on record stays until it is handed over at the contract's end."""
    partners = policy_of(held).bundle.partners
    return participant_reply(
        await held.participants.end(caller.actor, frozenset(caller.partners), partners, participant_id, body.reason)
    )
