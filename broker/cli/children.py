"""Processes that live and end with this one: started again when they die, ended with us however we end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from broker.storage.embedded.process import end_with_parent

_BAD_SETUP: Final = 2
"""What a command ends with when its settings are wrong: starting it again would change nothing."""
_DEATHS: Final = 5
_DEATHS_WITHIN: Final = 60.0
_LONGEST_DELAY: Final = 5.0


class ChildGaveUp(Exception):
    """A child cannot be kept running; it has said why on standard error."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} {_ending(code)}")
        self.code = code


class Stop:
    """Becomes true at SIGTERM, Ctrl-C or the end of the terminal. Made in the main thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(which, lambda *_: self._asked.set())

    @property
    def asked(self) -> bool:
        """Whether this process is to end."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until asked to end; whether it was asked."""
        return self._asked.wait(seconds)


@dataclass(slots=True)
class Child:
    """One ``broker`` command in a process of its own."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    sockets: Sequence[int] = ()
    process: "subprocess.Popen[bytes] | None" = None
    deaths: list[float] = field(default_factory=list)
    not_before: float = 0.0

    def start(self) -> None:
        """Start it, or start it again."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "broker", *self.arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            pass_fds=self.sockets,
            # In a session of its own: Ctrl-C reaches this process, which then ends its children in order.
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - one system call, and no thread runs yet
        )

    def tend(self) -> None:
        """Start it again if it has died. Raises ChildGaveUp if that is of no use."""
        now = time.monotonic()
        code = self.process.poll() if self.process is not None else None
        if code is not None:
            self.process = None
            self.deaths = [then for then in self.deaths if now - then < _DEATHS_WITHIN] + [now]
            if code == _BAD_SETUP or len(self.deaths) >= _DEATHS:
                raise ChildGaveUp(self.name, code)
            self.not_before = now + min(_LONGEST_DELAY, 0.1 * 2 ** len(self.deaths))
            print(f"broker: {self.name} {_ending(code)}; it is started again", file=sys.stderr, flush=True)
        if self.process is None and now >= self.not_before:
            self.start()

    def ask_to_end(self) -> None:
        """Send SIGTERM, if it runs."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until it has ended, and at the deadline make it."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Family:
    """Children that are started in order, tended together, and ended in reverse order by generations."""

    def __init__(self, grace: float) -> None:
        """*grace*: seconds that a generation has to end by itself."""
        self._grace = grace
        self._generations: list[list[Child]] = []

    def start(self, *children: Child) -> None:
        """Start one generation; it ends before those started earlier."""
        self._generations.append(list(children))
        for child in children:
            child.start()

    def tend(self) -> None:
        """Start again what has died."""
        for generation in self._generations:
            for child in generation:
                child.tend()

    def restart(self) -> None:
        """End all and start them again, because what they were told at their start is no longer so."""
        generations = self._generations[:]
        self.end()
        for generation in generations:
            self.start(*generation)

    def end(self) -> None:
        """End all; returns when none is left."""
        while self._generations:
            generation = self._generations.pop()
            deadline = time.monotonic() + self._grace
            for child in generation:
                child.ask_to_end()
            for child in generation:
                child.end(deadline)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
