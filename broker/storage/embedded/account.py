"""The system user that the server runs as. PostgreSQL refuses to run as root, so root lends an unprivileged user."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.kernel.errors import ConfigurationError

_UNPRIVILEGED: Final = ("postgres", "nobody")
_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its group; `lent` when it is not the one that this process runs as."""

    uid: int
    gid: int
    lent: bool

    def run(self, arguments: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as this user, with a clean environment; output is captured as text."""
        return subprocess.run(  # noqa: PLW1510 – whoever calls looks at the return code
            [str(argument) for argument in arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env=clean_environment(),
            cwd="/",
            **self.switch(),
            **options,
        )

    def switch(self) -> dict[str, Any]:
        """Arguments that make subprocess change to this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.lent else {}

    def give(self, path: Path) -> None:
        """Make this user the owner of *path*, which this process has just made."""
        if self.lent:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, folder: Path) -> bool:
        """Whether this user may pass through every folder down to *folder*; tried out, not computed."""
        # `cd` needs the right to pass through each folder above and the folder itself, and nothing more.
        return not self.lent or self._succeeds(["/bin/sh", "-c", 'cd -- "$0"', folder])

    def can_run(self, program: Path) -> bool:
        """Whether this user may start *program*; tried out with ``--version``."""
        return self._succeeds([program, "--version"])

    def _succeeds(self, arguments: Sequence[str | Path]) -> bool:
        try:
            return self.run(arguments).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False


def choose_account(data: Path | None = None) -> Account:
    """The present user, or for root an unprivileged one: the one that *data* belong to, if there are data.

    Raises ConfigurationError if root finds no user to lend.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), lent=False)
    if data is not None and data.is_dir() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid, lent=True)
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        account = Account(entry.pw_uid, entry.pw_gid, lent=True)
        if account.can_enter(Path("/")):
            return account
    raise ConfigurationError(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it as; "
        "start the broker as an ordinary user, or name a database in BROKER_DATABASE_URL"
    )


def clean_environment() -> dict[str, str]:
    """What the server's programs get: nothing of the caller's (PGDATA, PGPORT, LD_LIBRARY_PATH, LC_* and the like)."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
