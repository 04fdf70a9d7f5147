"""Table of the running processes."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from broker.storage.columns import document, moment


class ProcessRow(SQLModel, table=True):
    """One process, from its start to its end; of one that was killed, until the row is swept away."""

    __tablename__ = "process"

    id: str = Field(primary_key=True)
    kind: str
    host: str
    pid: int
    version: str
    started_at: datetime = Field(sa_column=moment())
    seen_at: datetime = Field(sa_column=moment())
    digest: str
    digest_since: datetime = Field(sa_column=moment())
    folder_digest: str | None
    calls: Any = Field(sa_column=document())
