"""Broker, worker, database and invented partners as real processes, in a home of their own, ended at the end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.story import rogue
from tests.story.people import ROOT, Cast

_START_SECONDS = 120
_END_SECONDS = 40


@dataclass
class Stage:
    """A running broker."""

    home: Path
    process: "subprocess.Popen[str]"
    url: str
    partners: dict[str, str]
    log: Path
    cast: Cast = field(repr=False)


@contextmanager
def raised(extra: dict[str, str] | None = None, *, rogue_url: str | None = None) -> Iterator[Stage]:
    """Start everything on free loopback ports; at the end no process and no folder stays behind.

    With *rogue_url* the register has one more partner, which lies.
    """
    # A folder with a space in its name, because somebody's checkout will lie in one.
    base = Path(tempfile.mkdtemp(prefix="broker story "))
    base.chmod(0o711)
    home = base / "home"
    log = base / "log.txt"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    extra = dict(extra or {})
    if rogue_url is not None:
        extra |= {"BROKER_POLICIES": str(rogue.policies_with_it(base))}
        extra |= {"BROKER_PARTNER_URLS": json.dumps({rogue.NAME: rogue_url})}
    environment |= {"BROKER_HOME": str(home), "BROKER_PORT": "0", **extra}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker", "up", "--end-with-parent"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        serve = _announced(home / "serve.json", process, log)
        cast = Cast(serve["url"], home, extra)
        try:
            yield Stage(home, process, serve["url"], serve["partners"], log, cast)
        finally:
            cast.close()
    finally:
        _end(process)
        _remove(home)
        shutil.rmtree(base, ignore_errors=True)


def _announced(path: Path, process: "subprocess.Popen[str]", log: Path) -> dict[str, object]:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if path.is_file():
            announced: dict[str, object] = json.loads(path.read_text())
            return announced
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the broker did not start; its log:\n{log.read_text()[-6000:]}")


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _remove(home: Path) -> None:
    from broker.storage.embedded import remove_home

    if home.exists():
        remove_home(home)
