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


class GrantSupersessionBegun(AuditEvent):
    """An owner is putting another permission in the place of one: no new decision finds the old one any more."""

    tag = "grant:register:superseding"
    grant_id: str
    owner: str


class GrantSuperseded(AuditEvent):
    """Another permission took the place of one."""

    tag = "grant:register:superseded"
    grant_id: str
    successor_id: str
    owner: str


class GrantErrorBegun(AuditEvent):
    """Somebody says that a permission was entered in error: no new decision finds it any more."""

    tag = "grant:register:erring"
    grant_id: str
    owner: str


class GrantEnteredInError(AuditEvent):
    """What had been written down as a permission never was one."""

    tag = "grant:register:entered_in_error"
    grant_id: str
    owner: str
    reason: str


class GrantRelied(AuditEvent):
    """A release relied on a permission whose owner wants to be told of each."""

    tag = "grant:register:relied"
    grant_id: str
    release_id: str
    owner: str
