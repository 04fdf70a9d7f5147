"""One folder for the whole run, known to every process of it: xdist's workers share one database server."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.storage.embedded import remove_home

_NAME = "SUITE_SHARED_FOLDER"


def make() -> None:
    """Called once, by the process that starts the others."""
    folder = Path(tempfile.mkdtemp(prefix="broker tests "))
    # Root's database runs as another user, who has to pass through.
    folder.chmod(0o711)
    os.environ[_NAME] = str(folder)


def folder() -> Path:
    """The shared folder."""
    return Path(os.environ[_NAME])


def remove() -> None:
    """Called once, by the process that made it, when all others have ended."""
    remove_home(folder() / "home")
    shutil.rmtree(folder(), ignore_errors=True)
    del os.environ[_NAME]


@contextmanager
def locked(name: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock *name* of the run: alone, or together with others who want it shared."""
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
