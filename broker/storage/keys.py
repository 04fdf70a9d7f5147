"""Key files under ``$BROKER_HOME/keys``: made once by whoever needs one first, mode 0600, read by all later.

It refuses to hand out a key that somebody else may read, or that is empty.
"""

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from broker.kernel.errors import ConfigurationError


def load_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of the key file at *path*; if there is none, what *make* gives, stored for everybody.

    Safe under a race between processes: the file appears whole, and the loser reads what the winner wrote.
    Raises ConfigurationError if the file may be read by others, belongs to another user, or is empty.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        prepare_folder(path.parent)
        _create(path, make())
        return _load(path)


def prepare_folder(folder: Path) -> None:
    """Make *folder* for the present user alone, and the home above it; folders that exist stay as they are."""
    make_home(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def make_home(home: Path) -> None:
    """Make ``$BROKER_HOME``. Root's can be passed through, because its database runs as another user."""
    if home.is_dir():
        return
    home.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
        if os.geteuid() == 0:
            home.chmod(0o711)  # Not by mkdir's mode, of which the umask may take away.


def _load(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise ConfigurationError(
                f"the key file {path} may be read by others; chmod 600 it, or better make a new key"
            )
        if os.geteuid() not in {status.st_uid, 0} and status.st_uid != 0:
            raise ConfigurationError(f"the key file {path} belongs to another user")
        content = file.read()
    if not content:
        raise ConfigurationError(
            f"the key file {path} is empty; remove it if nothing was ever sealed or signed with it"
        )
    return content


def _create(path: Path, content: bytes) -> None:
    # Written aside and linked into place: link fails if the name is taken, so nobody ever sees half a key, and of
    # two processes that make one at the same time the second takes over the first one's.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:
                # Root at work in somebody's home leaves the key to them, or their next start would fail.
                folder = path.parent.stat()
                os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        _sync_folder(path.parent)
    finally:
        Path(draft).unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
