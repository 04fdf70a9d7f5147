"""The real thing: ``broker up`` with its partners, API, jobs and database as separate processes on free ports."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from broker.api.dev_issuer import issue
from broker.kernel.words import Role
from broker.storage.embedded import attach, remove_home
from tests.support.postgres import OUTSIDE, copy_of_template, server
from tests.support.programs import ROOT, environment, reachable_folder

_READY_SECONDS = 120.0
_REAPED_SECONDS = 10.0
_END_SECONDS = 60.0
_AUDIENCE = "interagency-request-broker"


def runs(number: int) -> bool:
    """Whether a process of that number runs; one that has ended and was not yet waited for does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@dataclass
class Stack:
    """A running service. Everything it says is in `log`."""

    home: Path
    log: Path
    variables: dict[str, str]
    owner_url: str | None = None
    """Of an outside database; the embedded one is found by its home."""
    process: "subprocess.Popen[bytes] | None" = None
    _opened: ExitStack = field(default_factory=ExitStack)

    @property
    def announced(self) -> dict[str, Any]:
        """What serve.json says."""
        return dict(json.loads((self.home / "serve.json").read_text()))

    @property
    def url(self) -> str:
        return str(self.announced["url"])

    @property
    def partners(self) -> dict[str, str]:
        """URL of each partner system by its name."""
        return dict(self.announced["partners"])

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "broker", "up", "--end-with-parent"],
                cwd=ROOT,
                env=environment(**self.variables),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not (self.home / "serve.json").exists():
            assert self.process.poll() is None, f"broker up ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, f"broker up is not ready:\n{self.said()}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End everything as SIGTERM does; it must end well, and leave no process."""
        if self.process is None:
            return
        left = [number for number, _, _ in self.family()]
        self.process.terminate()
        code = self.process.wait(_END_SECONDS)
        self.process = None
        assert code == 0, f"broker up ended with {code}:\n{self.said()}"
        deadline = time.monotonic() + _REAPED_SECONDS
        while still := [number for number in left if runs(number)]:
            # What a killed parent left to the system is waited for by the system, in its own time.
            assert time.monotonic() < deadline, f"processes left behind: {still}"
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9 of the topmost process: all below it have to notice by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def family(self) -> list[tuple[int, int, str]]:
        """Every process below ours: its number, its parent's, its command line."""
        assert self.process is not None
        output = subprocess.check_output(["ps", "-wweo", "pid=,ppid=,args="], text=True)
        rows = [line.split(None, 2) for line in output.splitlines()]
        everything = [(int(row[0]), int(row[1]), row[2] if len(row) > 2 else "") for row in rows]
        below: list[tuple[int, int, str]] = []
        parents = {self.process.pid}
        while parents:
            children = [row for row in everything if row[1] in parents]
            below += children
            parents = {row[0] for row in children}
        return below

    def processes(self, command: str) -> list[int]:
        """Numbers of the processes that run ``broker COMMAND``, such as `worker`, `api`, `serve`, `partner-standin dos-ccd`."""
        return [number for number, _, line in self.family() if f"-m broker {command}" in line]

    def kill_process(self, command: str, how: signal.Signals = signal.SIGKILL) -> list[int]:
        """Send *how* to the processes of one command; whoever runs them starts them again. Their old numbers."""
        numbers = self.processes(command)
        assert numbers, f"no process runs {command}"
        for number in numbers:
            os.kill(number, how)
        return numbers

    def wait_for(self, command: str, not_in: Sequence[int] = (), seconds: float = 20.0) -> list[int]:
        """Wait until a new process runs that command; its numbers."""
        deadline = time.monotonic() + seconds
        while not (found := [number for number in self.processes(command) if number not in not_in]):
            assert time.monotonic() < deadline, f"{command} was not started again:\n{self.said()}"
            time.sleep(0.05)
        return found

    def token(
        self,
        sub: str,
        agency: str,
        roles: Sequence[str],
        *,
        training_valid_until: date | None = None,
        partners: Sequence[str] | None = None,
        lifetime: timedelta = timedelta(hours=1),
    ) -> str:
        """A token as ``broker token`` makes it; an expired one with a negative lifetime."""
        return issue(
            self.home,
            sub=sub,
            agency=agency,
            roles=[Role(role) for role in roles],
            training_valid_until=training_valid_until or datetime.now(UTC).date() + timedelta(days=365),
            partners=list(self.partners) if partners is None else partners,
            audience=_AUDIENCE,
            lifetime=lifetime,
        )

    def client(self, sub: str, agency: str, roles: Sequence[str], **claims: Any) -> httpx.Client:
        """A client that calls as this person; closed with the stack."""
        return self.caller(self.token(sub, agency, roles, **claims))

    def caller(self, token: str | None = None) -> httpx.Client:
        """A client with this token, or with none."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        made = httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)
        return self._opened.enter_context(made)

    def owner(self) -> psycopg.Connection[Any]:
        """A connection to the database as the owner of the schema; every statement commits by itself."""
        url = self.owner_url
        if url is None:
            endpoint = attach(self.home)
            assert endpoint is not None, "the embedded database is not running"
            url = endpoint.owner_url
        return psycopg.connect(url, autocommit=True)

    def said(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """Close the clients that were handed out."""
        self._opened.close()


@contextmanager
def running_stack(**variables: str) -> Iterator[Stack]:
    """A service of one's own, with these settings besides; ended and removed at the end."""
    with ExitStack() as opened:
        folder = opened.enter_context(reachable_folder())
        home = folder / "a home"
        opened.callback(remove_home, home)
        settings = {
            "BROKER_HOME": str(home),
            "BROKER_PORT": "0",
            "BROKER_POLICIES": str(ROOT / "policies"),
            **variables,
        }
        owner_url = None
        if OUTSIDE is not None and "BROKER_DATABASE_URL" not in settings:
            owner_url = opened.enter_context(copy_of_template(opened.enter_context(server()))).owner_url
            settings["BROKER_DATABASE_URL"] = owner_url
        stack = Stack(home, folder / f"stack-{secrets.token_hex(4)}.log", settings, owner_url)
        try:
            stack.start()
            yield stack
        finally:
            stack.close()
            stack.stop()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The running service that the tests of one xdist worker share. What they leave in it, the next ones find."""
    with running_stack() as running:
        yield running
