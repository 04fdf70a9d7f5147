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


class ReleaseHeld(AuditEvent):
    """A refused release is kept until its last permission arrives."""

    tag = "release:held:recorded"
    held_release_id: str
    item_id: str


class HeldReleaseEnded(AuditEvent):
    """A held release is released, refused, withdrawn or expired."""

    tag = "release:held:ended"
    held_release_id: str
    release_id: str | None
    state: str


class ReleasedExigently(AuditEvent):
    """In imminent danger something was passed on without a permission that was missing; `owners` are those to be told."""

    tag = "release:exigent:made"
    release_id: str
    item_id: str
    owners: tuple[str, ...]


class ExigentAnswered(AuditEvent):
    """An owner ratified or refused an exigent release afterwards."""

    tag = "release:exigent:answered"
    release_id: str
    owner: str
    outcome: str


class ExigentRead(AuditEvent):
    """An owner's side was shown an exigent release for the first time."""

    tag = "release:exigent:read"
    release_id: str
    owner: str
