"""What is recorded of relying on something: owners' verifications, what was done on a lead, and what became of it."""

from broker.audit.events.base import AuditEvent


class VerificationRequested(AuditEvent):
    """Owners were asked whether something is right."""

    tag = "verification:request:submitted"
    verification_request_id: str
    item_id: str
    owners: tuple[str, ...]


class VerificationAnswered(AuditEvent):
    """An owner said whether its part in an item is right; `reached` counts the item and everything made of it."""

    tag = "verification:answer:recorded"
    verification_id: str
    item_id: str
    owner: str
    outcome: str
    reached: int


class ActionRecorded(AuditEvent):
    """Something was done on the strength of a lead."""

    tag = "lead:action:recorded"
    lead_id: str
    item_id: str
    corroborations: int
    independent: int


class OutcomeRecorded(AuditEvent):
    """What became of a lead."""

    tag = "lead:outcome:recorded"
    lead_id: str
    outcome_id: str
    outcome: str
