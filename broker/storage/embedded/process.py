"""The server's process: started as a child that ends with us, found again after we were killed, ended cleanly."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from broker.kernel.errors import ConfigurationError
from broker.storage.embedded.account import Account, clean_environment

_PR_SET_PDEATHSIG: Final = 1
_FAST_SECONDS: Final = 30.0
_LOG_LIMIT: Final = 10_000_000
_STEP: Final = 0.05


def start_server(arguments: Sequence[str | Path], account: Account, log: Path) -> "subprocess.Popen[bytes]":
    """Start the server; on Linux it shuts down by itself when the thread that called this ends, however it ends."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        account.give(log)
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean_environment(),
            cwd="/",
            # In a session of its own, or Ctrl-C would shut it down before those who still use it.
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGINT),  # noqa: PLW1509 – only a system call, and no thread runs yet
            **account.switch(),
        )


def end_with_parent(how: signal.Signals, of: int | None = None) -> Callable[[], None] | None:
    """What a child calls before it becomes another program, so that the kernel sends it *how* when its parent dies.

    *of* is the parent's number; ours without it.

    Linux only; None elsewhere, where the next owner finds what was left behind.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = of or os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(how))
        if os.getppid() != parent:  # It died between the fork and the request.
            os.kill(os.getpid(), signal.SIGKILL)

    return ask


def stop_server(process: "subprocess.Popen[bytes]") -> None:
    """Shut our child down: cleanly, if need be hard; returns when it is gone."""
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_FAST_SECONDS)
            return


def clear_orphan(data: Path) -> None:
    """Stop a server on *data* whose owner was killed. The caller holds the owner's lock, so nobody else owns it."""
    pid_file = data / "postmaster.pid"
    pid = _pid_in(pid_file)
    if pid is None:
        return
    deadline = time.monotonic() + _FAST_SECONDS
    with suppress(ProcessLookupError):
        if _serves(pid, data):
            os.kill(pid, signal.SIGINT)
    while _serves(pid, data):
        if time.monotonic() > deadline:
            raise ConfigurationError(f"an earlier database server (process {pid}) on {data} does not shut down")
        time.sleep(_STEP)
    if _pid_in(pid_file) == pid and _alive(pid):
        # The number belongs to some other program by now (after a restart of the machine that is common), which
        # would keep PostgreSQL from starting. Its children die with their server; give them the moment they need.
        while any(_works_in(other, data) for other in _processes()):
            if time.monotonic() > deadline:
                raise ConfigurationError(f"processes of an earlier database server still work in {data}")
            time.sleep(_STEP)
        pid_file.unlink(missing_ok=True)


def _pid_in(pid_file: Path) -> int | None:
    try:
        return abs(int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0]))
    except (FileNotFoundError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _serves(pid: int, data: Path) -> bool:
    # A number alone proves nothing. The server and its children work in their data folder.
    if not _alive(pid):
        return False
    if Path("/proc/self").exists():
        return _works_in(pid, data) and not _is_zombie(pid)
    command = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return str(data) in command.stdout


def _works_in(pid: int, data: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except OSError:
        return False


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")] if Path("/proc/self").exists() else []
