"""What is recorded of the register of permission."""

from broker.audit.events.base import AuditEvent


class GrantRecorded(AuditEvent):
    """A permission was written down."""

    tag = "grant:register:recorded"
    grant_id: str
    owner: str
    status: str
    evidence_sha256: str


class GrantConfirmed(AuditEvent):
    """A second person confirmed a permission."""

    tag = "grant:register:confirmed"
    grant_id: str
    owner: str


class GrantRevocationBegun(AuditEvent):
    """An owner is ending a permission: no new decision finds it any more, those under way may still run out."""

    tag = "grant:register:revoking"
    grant_id: str
    owner: str


class GrantRevoked(AuditEvent):
    """An owner ended a permission."""

    tag = "grant:register:revoked"
    grant_id: str
    owner: str
    reason: str


class GrantUsed(AuditEvent):
    """A counted permission was used once more."""

    tag = "grant:register:used"
    grant_id: str
    release_id: str
    uses: int


class GrantSuspended(AuditEvent):
    """A permission rests because its owner has announced something about the item."""

    tag = "grant:register:suspended"
    grant_id: str
    owner: str


class GrantResumed(AuditEvent):
    """A suspended permission holds again."""

    tag = "grant:register:resumed"
    grant_id: str
    owner: str
