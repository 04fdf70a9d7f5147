"""What is recorded of copies after they were made."""

from broker.audit.events.base import AuditEvent


class CaveatsAccepted(AuditEvent):
    """The recipient's side accepted every caveat of its copy."""

    tag = "release:caveats:accepted"
    release_id: str
    caveats: tuple[str, ...]


class PackageWithheld(AuditEvent):
    """The recipient's side asked for the copy before it had accepted its caveats."""

    tag = "release:package:withheld"
    release_id: str
