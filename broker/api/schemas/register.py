"""Replies about the policy."""

from pydantic import AwareDatetime

from broker.api.schemas.words import Reply


class PolicyFile(Reply):
    """One file of the policy."""

    path: str
    sha256: str
    bytes: int


class LastErrorReply(Reply):
    """A policy that was not taken; the one before goes on deciding."""

    at: AwareDatetime
    detail: str
    faults: list[str]


class DiffersReply(Reply):
    """The folder of the host that answers says something else than what is in force."""

    folder_digest: str
    detail: str


class PolicyReply(Reply):
    """`digest` is what this process has loaded, `in_force` what the database says decides."""

    digest: str
    in_force: str | None
    loaded_at: AwareDatetime
    rows: int
    files: list[PolicyFile]
    agencies: list[str]
    purposes: list[str]
    caveats: list[str]
    last_error: LastErrorReply | None
    differs: DiffersReply | None
