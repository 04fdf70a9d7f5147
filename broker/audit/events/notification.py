"""What is recorded of messages to agencies. Attempts that failed are counted with the message, not recorded each."""

from broker.audit.events.base import AuditEvent


class NotificationDelivered(AuditEvent):
    """A message was taken by the agency's registered address."""

    tag = "notification:message:delivered"
    notification_id: str
    agency: str
    subject: str
    attempts: int


class NotificationRead(AuditEvent):
    """Somebody of the agency has read a message here."""

    tag = "notification:message:read"
    notification_id: str
