"""Where the embedded database keeps things.

`place` is a folder of our own: ``$BROKER_HOME/postgres``, or, when the server's user may not reach that, one outside
with a pointer to it left in the home. In it: ``data``, the owner's lock, the server's log, and the state file by
which others find the running server. The socket lies elsewhere, because its path must be short.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.kernel.errors import ConfigurationError
from broker.storage.embedded.account import Account
from broker.storage.keys import make_home

_POINTER: Final = "postgres-is-at"
_OUTSIDE: Final = "/var/lib"
_SOCKET_PATH_LIMIT: Final = 90
"""Bytes; a socket's whole path may have 103 on the strictest system, and its name takes up to 13."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one embedded database and the names in it."""

    folder: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's own folder."""
        return self.folder / "data"

    @property
    def lock(self) -> Path:
        """Held locked by the owner for as long as it lives."""
        return self.folder / "owner.lock"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def state(self) -> Path:
        """Where the running server's socket is."""
        return self.folder / "running.json"

    def write_state(self, socket_folder: Path) -> None:
        """Tell others that the server is ready; the file appears whole."""
        draft = self.folder / f".running.{os.getpid()}"
        draft.write_text(json.dumps({"socket_folder": str(socket_folder)}), encoding="utf-8")
        draft.replace(self.state)

    def read_state(self) -> Path | None:
        """The running server's socket folder, if its owner has said that it is ready."""
        try:
            return Path(json.loads(self.state.read_text(encoding="utf-8"))["socket_folder"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def find_place(home: Path) -> Place | None:
    """The place of *home*'s database if there is one; makes nothing.

    Raises ConfigurationError if the home says that its database is elsewhere, and it is not there any more.
    """
    try:
        outside = Place(Path((home / _POINTER).read_text(encoding="utf-8").rstrip("\n")))
    except FileNotFoundError:
        inside = Place(home / "postgres")
        return inside if inside.lock.is_file() else None
    if not outside.lock.is_file():
        raise ConfigurationError(
            f"the database of {home} was kept in {outside.folder} and is gone; "
            f"restore it, or remove {home / _POINTER} to begin with an empty one"
        )
    return outside


def make_place(home: Path, account: Account) -> Place:
    """The place of *home*'s database, made where *account* can reach it if it does not exist."""
    existing = find_place(home)
    if existing is not None:
        return existing
    make_home(home)
    if account.can_enter(home):
        return _furnish(home / "postgres", account)
    for parent in (_OUTSIDE, tempfile.gettempdir(), "/tmp"):  # noqa: S108 – mkdtemp's names cannot be taken before us
        if account.can_enter(Path(parent)) and os.access(parent, os.W_OK):
            return _outside(home, Path(parent), account)
    raise ConfigurationError(
        f"the user that runs the embedded database (uid {account.uid}) can reach neither {home} nor a folder "
        f"under {_OUTSIDE} or {tempfile.gettempdir()}; set BROKER_HOME to one that others may pass through"
    )


def remove_home(home: Path) -> None:
    """Remove *home* with everything in it, and its database wherever that lies. Nothing may run on it any more."""
    place = find_place(home) if home.is_dir() else None
    if place is not None:
        socket_folder = place.read_state()
        if socket_folder is not None:  # Its owner was killed.
            shutil.rmtree(socket_folder, ignore_errors=True)
        shutil.rmtree(place.folder)
    shutil.rmtree(home, ignore_errors=True)


def _outside(home: Path, parent: Path, account: Account) -> Place:
    # A fresh name each time: a home that was removed and made again must not find the data of the old one, which
    # its new keys do not open.
    place = _furnish(Path(tempfile.mkdtemp(prefix="interagency-broker-", dir=parent)), account)
    draft = home / f".{_POINTER}.{place.folder.name}"
    draft.write_text(f"{place.folder}\n", encoding="utf-8")
    try:
        os.link(draft, home / _POINTER)
    except FileExistsError:
        # Another process was quicker; its place is everybody's.
        shutil.rmtree(place.folder)
        return find_place(home) or place
    finally:
        draft.unlink()
    return place


def _furnish(folder: Path, account: Account) -> Place:
    # Root's folder can be passed through but not listed: the server's user has to reach its data in it.
    folder.mkdir(mode=0o711 if account.lent else 0o700, exist_ok=True)
    if account.lent:
        folder.chmod(0o711)  # Ours, just made or checked; the umask may have taken the passing-through away.
    place = Place(folder)
    place.lock.touch(mode=0o600)
    return place


def make_socket_folder(place: Place, account: Account) -> Path:
    """A private folder with a path short enough for a socket, the same one for a place as long as it stays ours."""
    name = f"broker-pg-{_short_hash(place.folder)}"
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/run", str(place.folder))):  # noqa: S108 – checked
        folder = Path(base) / name
        if len(os.fsencode(folder)) > _SOCKET_PATH_LIMIT or not account.can_enter(Path(base)):
            continue
        try:
            return _private_folder(folder, account)
        except OSError:
            continue
    raise ConfigurationError(
        "no folder with a path short enough for the embedded database's socket can be made; set TMPDIR to one"
    )


def _private_folder(folder: Path, account: Account) -> Path:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        account.give(folder)
    if socket_folder_is_private(folder, account.uid):
        return folder
    # Somebody else has taken the name. A random one cannot be taken before us; others find it by the state file.
    other = Path(tempfile.mkdtemp(prefix="broker-pg-", dir=folder.parent))
    account.give(other)
    return other


def socket_folder_is_private(folder: Path, uid: int) -> bool:
    """Whether *folder* is a real folder that belongs to *uid* and is closed to everybody else."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o077


def _short_hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
