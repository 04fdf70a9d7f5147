"""What is recorded of corrections and recalls."""

from broker.audit.events.base import AuditEvent


class NoticeRecorded(AuditEvent):
    """An owner said that something is disputed, corrected or withdrawn."""

    tag = "recall:notice:recorded"
    notice_id: str
    item_id: str
    owner: str
    kind: str
    affected: int
    recipients: int
    suspended: int
    exempt_ground: str | None
    """Why recipients need not acknowledge, where they need not."""


class NoticeLifted(AuditEvent):
    """An owner took a notice back."""

    tag = "recall:notice:lifted"
    notice_id: str
    owner: str


class NoticeAcknowledged(AuditEvent):
    """A recipient has read a notice."""

    tag = "recall:notice:acknowledged"
    notice_id: str
    copies: int


class NoticeReminded(AuditEvent):
    """Recipients that have not acknowledged in time were reminded, and the owner was told."""

    tag = "recall:notice:reminded"
    notice_id: str
    owner: str
    recipients: int
