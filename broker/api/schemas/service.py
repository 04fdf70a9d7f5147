"""Replies about the running service."""

from pydantic import AwareDatetime

from broker.api.schemas.words import Reply
from broker.processes.model import Process, ProcessKind


class ProcessReply(Reply):
    """One process: `digest` is the policy that it has loaded, `seen_at` when it was last heard of."""

    id: str
    kind: ProcessKind
    host: str
    pid: int
    version: str
    started_at: AwareDatetime
    seen_at: AwareDatetime
    running: bool
    digest: str
    digest_since: AwareDatetime
    folder_digest: str | None


class ProcessList(Reply):
    """Every process of the service, on all machines, and the policy in force."""

    in_force: str | None
    items: list[ProcessReply]
    next: str | None
    complete: bool


def process_reply(process: Process) -> ProcessReply:
    """One process as it is told."""
    return ProcessReply(
        id=process.id,
        kind=process.kind,
        host=process.host,
        pid=process.pid,
        version=process.version,
        started_at=process.started_at,
        seen_at=process.seen_at,
        running=process.fresh,
        digest=process.digest,
        digest_since=process.digest_since,
        folder_digest=process.folder_digest,
    )
