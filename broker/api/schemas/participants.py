"""Bodies and replies of participants."""

from pydantic import AwareDatetime

from broker.api.schemas.words import Body, Line, Moment, Reply, Word
from broker.kernel.ids import AgencyId, ParticipantId, PartnerId
from broker.participants.model import Participant


class NewParticipant(Body):
    """Somebody enrolled with a partner that verifies. The reference is the partner's own name for the record."""

    partner: Word
    reference: Word


class NewTerms(Body):
    """Terms of use that the participant accepted."""

    version: Word
    accepted_at: Moment


class EndOfEnrolment(Body):
    """Why the enrolment ends."""

    reason: Line


class TermsReply(Reply):
    """One version of the terms, accepted."""

    version: str
    accepted_at: AwareDatetime
    recorded_by: str
    recorded_at: AwareDatetime


class ParticipantReply(Reply):
    """One enrolment. `terms` holds what was accepted, oldest record first."""

    id: ParticipantId
    partner: PartnerId
    agency: AgencyId
    reference: str
    enrolled_by: str
    enrolled_at: AwareDatetime
    ended_by: str | None
    ended_at: AwareDatetime | None
    end_reason: str | None
    terms: list[TermsReply]


class ParticipantList(Reply):
    """A page of participants."""

    items: list[ParticipantReply]
    next: str | None
    complete: bool


def participant_reply(participant: Participant) -> ParticipantReply:
    """The outward form of a participant."""
    return ParticipantReply(
        **participant.model_dump(exclude={"acceptances"}),
        terms=[
            TermsReply(
                version=one.terms_version,
                accepted_at=one.accepted_at,
                recorded_by=one.recorded_by,
                recorded_at=one.recorded_at,
            )
            for one in participant.acceptances
        ],
    )
