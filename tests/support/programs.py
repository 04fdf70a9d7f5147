"""Small Python programs in processes of their own: to be killed, to race, to run as another user."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.storage.embedded import remove_home

ROOT = Path(__file__).resolve().parents[2]


def environment(**extra: str) -> dict[str, str]:
    """The environment of this process without the settings of a broker, plus *extra*."""
    bare = {name: value for name, value in os.environ.items() if not name.upper().startswith("BROKER_")}
    return {**bare, **extra}


def start(program: str, *arguments: object, **options: object) -> "subprocess.Popen[str]":
    """Start a Python program given as text; its output can be read line by line."""
    command = [sys.executable, "-u", "-c", program, *map(str, arguments)]
    settings = {"stdout": subprocess.PIPE, "text": True, "env": environment(), "cwd": ROOT, **options}
    return subprocess.Popen(command, **settings)


def finish(program: str, *arguments: object, **options: object) -> str:
    """Run a Python program given as text to its end; it must end well. Its output is returned."""
    process = start(program, *arguments, **options)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output.strip()


@contextmanager
def running(program: str, *arguments: object, **options: object) -> Iterator["subprocess.Popen[str]"]:
    """A program that says one line when it is ready, and is killed at the end if it still runs."""
    process = start(program, *arguments, **options)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() != "", "the program ended before it was ready"
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()


def ordinary_user() -> dict[str, object]:
    """Options that run a program as an unprivileged user, when the tests run as root. Skips if that cannot be."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("nobody")
    switch: dict[str, object] = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    libraries = os.pathsep.join([str(ROOT), *(path for path in sys.path if "site-packages" in path)])
    for python in (sys.executable, system):
        variables = environment(PYTHONPATH=libraries, PYTHONDONTWRITEBYTECODE="1")
        try:
            subprocess.run([python, "-c", "import psycopg, broker"], check=True, env=variables, cwd="/", **switch)
        except (OSError, subprocess.CalledProcessError):
            continue
        return {"executable": python, "env": variables, "cwd": "/", **switch}
    pytest.skip("no Python that an unprivileged user can reach has the libraries")


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A fresh folder, removed at the end, that other users may pass through: root's database runs as one of them."""
    folder = Path(tempfile.mkdtemp(prefix="broker test "))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for pointer in folder.rglob("postgres-is-at"):
            if is_still_there(pointer):
                remove_home(pointer.parent)
        shutil.rmtree(folder)


def is_still_there(pointer: Path) -> bool:
    """Whether the database that a home keeps elsewhere is still there."""
    return Path(pointer.read_text().strip()).is_dir()


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether *holds* becomes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def processes_in(folder: Path) -> list[int]:
    """Ids of processes whose working folder is *folder*: a database server and its children."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").samefile(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
