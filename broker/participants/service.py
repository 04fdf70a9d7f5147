"""Enrolling, recording acceptances, ending, reading: for the component whose participants they are, and who must know."""

from collections.abc import Sequence
from datetime import datetime

from broker.audit.events import Actor, ParticipantEnded, ParticipantEnrolled, ParticipantsRead, TermsAccepted
from broker.audit.recorder import record
from broker.kernel.clock import Clock
from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from broker.kernel.ids import AgencyId, ParticipantId, PartnerId, Subject, new_id
from broker.kernel.partner import Participation, PartnerEntry
from broker.participants import repository
from broker.participants.model import Acceptance, Participant
from broker.storage.unit_of_work import Transaction, UnitOfWork


class ParticipantService:
    """The use cases of the register of participants."""

    def __init__(self, work: UnitOfWork, clock: Clock) -> None:
        self._work = work
        self._clock = clock

    async def enrol(
        self, actor: Actor, known: frozenset[str], partners: Sequence[PartnerEntry], partner: str, reference: str
    ) -> Participant:
        """Register somebody as enrolled with a partner. *known*: the partners that the actor is enrolled for."""
        entry = next((one for one in partners if one.id == partner), None)
        if entry is None or entry.participation is None:
            raise Invalid("that partner verifies no participants; see GET /v1/partners", "/partner")
        if not _must_know(entry, actor, known):
            raise Forbidden("participants of that partner are not for you to know")
        participant = Participant(
            id=ParticipantId(new_id("par")),
            partner=PartnerId(entry.id),
            agency=AgencyId(actor.agency),
            reference=reference,
            enrolled_by=Subject(actor.sub),
            enrolled_at=self._clock.now(),
            ended_by=None,
            ended_at=None,
            end_reason=None,
            acceptances=(),
        )
        async with self._work.begin() as tx:
            if not await repository.add(tx, participant):
                raise Conflict("somebody is enrolled under that reference already")
            await record(tx, ParticipantEnrolled(actor=actor, participant_id=participant.id, partner=entry.id))
        return participant

    async def accept(
        self,
        actor: Actor,
        known: frozenset[str],
        partners: Sequence[PartnerEntry],
        participant_id: str,
        terms_version: str,
        accepted_at: datetime,
    ) -> Participant:
        """Record that the participant accepted the terms in force; no other version can be accepted any more."""
        async with self._work.begin() as tx:
            participant, participation = await self._held(tx, actor, known, partners, participant_id)
            now = self._clock.now()
            if participant.ended_at is not None:
                raise Conflict("the enrolment has ended")
            if terms_version != participation.terms_version:
                raise Invalid("these are not the terms of use in force; see GET /v1/partners", "/version")
            if accepted_at > now:
                raise Invalid("terms cannot have been accepted in the future", "/accepted_at")
            if accepted_at < participant.enrolled_at:
                # Who is enrolled again accepts anew, so an acceptance from before belongs to another enrolment.
                raise Invalid("terms cannot have been accepted before the enrolment", "/accepted_at")
            if participant.has_accepted(terms_version):
                raise Conflict("the acceptance of these terms is on record already")
            acceptance = Acceptance(
                terms_version=terms_version, accepted_at=accepted_at, recorded_by=Subject(actor.sub), recorded_at=now
            )
            await repository.accept(tx, participant.id, acceptance)
            await record(
                tx,
                TermsAccepted(
                    actor=actor,
                    participant_id=participant.id,
                    partner=participant.partner,
                    terms_version=terms_version,
                    accepted_at=accepted_at.isoformat(),
                ),
            )
        return participant.model_copy(update={"acceptances": (*participant.acceptances, acceptance)})

    async def end(
        self,
        actor: Actor,
        known: frozenset[str],
        partners: Sequence[PartnerEntry],
        participant_id: str,
        reason: str,
    ) -> Participant:
        """End an enrolment: nobody is asked about this participant any more. What is on record stays."""
        async with self._work.begin() as tx:
            participant, _ = await self._held(tx, actor, known, partners, participant_id)
            if participant.ended_at is not None:
                raise Conflict("the enrolment has ended already")
            now = self._clock.now()
            await repository.end(tx, participant.id, actor.sub, now, reason)
            event = ParticipantEnded(
                actor=actor, participant_id=participant.id, partner=participant.partner, reason=reason
            )
            await record(tx, event)
        ended = {"ended_by": Subject(actor.sub), "ended_at": now, "end_reason": reason}
        return participant.model_copy(update=ended)

    async def read(
        self, actor: Actor, known: frozenset[str], partners: Sequence[PartnerEntry], participant_id: str
    ) -> Participant:
        """One participant."""
        async with self._work.begin() as tx:
            participant, _ = await self._held(tx, actor, known, partners, participant_id, lock=False)
            await record(tx, ParticipantsRead(actor=actor, participant_id=participant.id))
        return participant

    async def page(
        self, actor: Actor, known: frozenset[str], partners: Sequence[PartnerEntry], after: str, limit: int
    ) -> tuple[Participant, ...]:
        """The participants that the actor may know of; for somebody else there are none."""
        mine = [entry.id for entry in partners if _must_know(entry, actor, known)]
        async with self._work.begin() as tx:
            found = await repository.page(tx, AgencyId(actor.agency), mine, after, limit)
            await record(tx, ParticipantsRead(actor=actor, participant_id=None))
        return found

    async def _held(
        self,
        tx: Transaction,
        actor: Actor,
        known: frozenset[str],
        partners: Sequence[PartnerEntry],
        participant_id: str,
        *,
        lock: bool = True,
    ) -> tuple[Participant, Participation]:
        participant = await repository.find(tx, AgencyId(actor.agency), participant_id, lock=lock)
        entry = next((one for one in partners if participant is not None and one.id == participant.partner), None)
        if participant is None or entry is None or entry.participation is None or not _must_know(entry, actor, known):
            raise NotFound
        return participant, entry.participation


def _must_know(entry: PartnerEntry, actor: Actor, known: frozenset[str]) -> bool:
    return entry.participation is not None and entry.participation.agency == actor.agency and entry.id in known
