"""A running process as the register knows it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

FRESH_SECONDS: Final = 10.0
"""A process that was not heard of for longer is not counted as running."""


class ProcessKind(StrEnum):
    """What a process does."""

    API = "api"
    WORKER = "worker"


class Process(BaseModel):
    """One process of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    kind: ProcessKind
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    digest: str
    """Of the policy that it has loaded and works with."""
    digest_since: datetime
    folder_digest: str | None
    """What its own folder says, for one that looks after a folder."""
    calls: Mapping[str, Any]
    """Its calls to partners, as `broker.partners.calls` counts them."""
    fresh: bool
    """Whether it was heard of in the last seconds."""
