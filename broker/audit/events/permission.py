"""What is recorded of permission requests."""

from broker.audit.events.base import AuditEvent


class PermissionRequested(AuditEvent):
    """Owners were asked to permit something."""

    tag = "permission:request:submitted"
    permission_request_id: str
    item_id: str
    owners: tuple[str, ...]
    recipient: str


class PermissionAcknowledged(AuditEvent):
    """An officer of the owner has read its part."""

    tag = "permission:request:acknowledged"
    permission_request_id: str
    owner: str


class PermissionAnswered(AuditEvent):
    """An owner answered; an answer that grants names the grant it made."""

    tag = "permission:request:answered"
    permission_request_id: str
    grant_id: str | None
    owner: str
    outcome: str


class PermissionInformed(AuditEvent):
    """The requester answered owners who had asked back."""

    tag = "permission:request:informed"
    permission_request_id: str


class PermissionWithdrawn(AuditEvent):
    """The requester took back what nobody had answered."""

    tag = "permission:request:withdrawn"
    permission_request_id: str


class PermissionExpired(AuditEvent):
    """Nobody answered in time, which is no consent."""

    tag = "permission:request:expired"
    permission_request_id: str
