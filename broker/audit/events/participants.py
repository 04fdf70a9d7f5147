"""What is recorded of participants, their terms of use, and what is handed over at a contract's end."""

from broker.audit.events.base import AuditEvent


class ParticipantEnrolled(AuditEvent):
    """Somebody is enrolled with a partner that verifies."""

    tag = "participant:register:enrolled"
    participant_id: str
    partner: str


class TermsAccepted(AuditEvent):
    """A participant's acceptance of the terms of use was recorded."""

    tag = "participant:terms:accepted"
    participant_id: str
    partner: str
    terms_version: str
    accepted_at: str


class ParticipantEnded(AuditEvent):
    """An enrolment has ended."""

    tag = "participant:register:ended"
    participant_id: str
    partner: str
    reason: str


class ParticipantsRead(AuditEvent):
    """Somebody read of one participant, or the list of those they may know of."""

    tag = "participant:register:read"
    participant_id: str | None


class HandedOver(AuditEvent):
    """What a partner's contract left behind was handed over when it had ended."""

    tag = "participant:contract:handed_over"
    hand_over_id: str
    partner: str
    agreement: str
    received_by: str
    receipt: str
    items: int
    participants: int
