"""What is recorded of the service itself: its policy, refused calls, and who read the record."""

from broker.audit.events.base import AuditEvent


class PolicyActivated(AuditEvent):
    """Another policy decides from here on."""

    tag = "policy:bundle:activated"
    digest: str
    replaces: str | None


class PolicyRefused(AuditEvent):
    """A changed policy was not taken; the one in force stays."""

    tag = "policy:bundle:refused"
    faults: int
    in_force: str


class CallRefused(AuditEvent):
    """A call that the caller's role or agency does not allow, or one about something they may not know of."""

    tag = "call:access:refused"
    route: str
    status: int


class AuditRead(AuditEvent):
    """Somebody read the audit."""

    tag = "audit:entries:read"
    query: str


class ReportRead(AuditEvent):
    """Somebody asked an oversight question."""

    tag = "oversight:report:read"
    report: str
    since: str | None
    until: str | None
