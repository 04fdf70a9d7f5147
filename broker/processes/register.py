"""Each process says every few seconds that it runs, and which policy it has loaded."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any, Final

from broker.kernel.ids import new_id
from broker.processes.model import FRESH_SECONDS, Process, ProcessKind
from broker.storage.unit_of_work import UnitOfWork

_REPORT: Final = """
INSERT INTO process (id, kind, host, pid, version, started_at, seen_at, digest, digest_since, folder_digest, calls)
VALUES (%(id)s, %(kind)s, %(host)s, %(pid)s, %(version)s, clock_timestamp(), clock_timestamp(), %(digest)s,
  clock_timestamp(), %(folder)s, %(calls)s)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, digest = excluded.digest,
  digest_since = CASE WHEN process.digest = excluded.digest THEN process.digest_since ELSE excluded.digest_since END,
  folder_digest = excluded.folder_digest, calls = excluded.calls
"""
_LEAVE_SECONDS: Final = 3.0
_LEAVE: Final = "DELETE FROM process WHERE id = %s"
_SWEEP: Final = "DELETE FROM process WHERE seen_at < clock_timestamp() - interval '10 minutes'"
_ALL: Final = """
SELECT id, kind, host, pid, version, started_at, seen_at, digest, digest_since, folder_digest, calls,
  seen_at > clock_timestamp() - make_interval(secs => %s) AS fresh
FROM process ORDER BY kind, host, started_at, id
"""


def this_host() -> str:
    """How this machine, or container, calls itself."""
    return socket.gethostname()


class ProcessRegister:
    """Reads the register; `Presence` writes one's own row."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    async def all(self) -> tuple[Process, ...]:
        """Every process that has not ended in order, also those not heard of any more."""
        async with self._work.begin() as tx:
            rows = await tx.rows(_ALL, (FRESH_SECONDS,))
        return tuple(Process(**{**row._asdict(), "kind": ProcessKind(row.kind)}) for row in rows)

    async def sweep(self) -> None:
        """Forget those that were not heard of for ten minutes."""
        async with self._work.begin() as tx:
            await tx.write(_SWEEP, ())


class Presence:
    """This process's own row."""

    def __init__(
        self,
        work: UnitOfWork,
        kind: ProcessKind,
        digests: Callable[[], tuple[str, str | None]],
        calls: Callable[[], Mapping[str, Any]],
    ) -> None:
        """*digests* gives what is loaded and what the folder says; *calls*, the calls to partners counted so far."""
        self._work = work
        self._digests = digests
        self._calls = calls
        self._fixed = {
            "id": new_id("prc"),
            "kind": kind.value,
            "host": this_host(),
            "pid": os.getpid(),
            "version": version("interagency-request-broker"),
        }

    async def report(self) -> None:
        """Say that this process runs."""
        loaded, folder = self._digests()
        counted = json.dumps(self._calls(), sort_keys=True)
        async with self._work.begin() as tx:
            await tx.write(_REPORT, {**self._fixed, "digest": loaded, "folder": folder, "calls": counted})

    async def leave(self) -> None:
        """Say that it ends. Without the database the row is swept away by others."""
        with suppress(Exception):
            async with asyncio.timeout(_LEAVE_SECONDS), self._work.begin() as tx:
                await tx.write(_LEAVE, (self._fixed["id"],))
