"""API and worker processes that a test starts, kills and starts again, and the partners that they ask.

Nobody restarts them but the test: `broker serve` would give up on a child that dies every few seconds, rightly.
"""

import asyncio
import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.policy_files import appended, written
from tests.support.programs import ROOT, environment
from tests.support.raw_partner import Asked, RawPartner, candidate, raw_partner, reply

SYNCHRONOUS = ("fleet-a", "fleet-b", "fleet-c")
LATER = ("fleet-d", "fleet-e")
PARTNERS = SYNCHRONOUS + LATER
_ENTRY = """
- id: {name}
  title: An invented partner of the tests
  owner: {owner}
  custodian: {owner}
  adapter: {adapter}
  url: http://127.0.0.1:1/
  gallery: travellers
  approved: true
  agreement:
    number: MOU-EX-TEST
    valid_from: 2020-01-01
    valid_until: 2035-12-31
    purposes: [criminal_investigation]
  probe_kinds: [photo]
  caveats: [lead_only]
"""


def policies(folder: Path) -> Path:
    """The shipped policy with these partners besides."""
    entries = "".join(
        _ENTRY.format(name=name, adapter="dos" if name in LATER else "cbp", owner="DOS" if name in LATER else "CBP")
        for name in PARTNERS
    )
    return written(appended("partners.yaml", entries), folder)


@dataclass
class Ledger:
    """What each partner saw: how often each transaction was asked for, and with which bytes. Nothing is forgotten."""

    slowest: float = 0.3
    seed: int = 0
    urls: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    calls: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @contextmanager
    def open(self) -> Iterator["Ledger"]:
        """Serve all partners from a thread of their own until the end of the block."""
        ready, loop = threading.Event(), asyncio.new_event_loop()
        stop = asyncio.Event()
        thread = threading.Thread(target=lambda: loop.run_until_complete(self._serve(ready, stop)), daemon=True)
        thread.start()
        assert ready.wait(20)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            loop.close()

    async def _serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        async with AsyncExitStack() as partners:
            for number, name in enumerate(PARTNERS):
                partner = await partners.enter_async_context(raw_partner())
                partner.act = self._act(name, partner, random.Random(self.seed * 100 + number))
                self.urls[name] = partner.url
            ready.set()
            await stop.wait()

    def _act(self, name: str, partner: RawPartner, chance: random.Random) -> Any:
        async def act(asked: Asked, writer: asyncio.StreamWriter) -> None:
            partner.calls.clear()  # Only the hash of a body is kept; there are thousands.
            if not asked.search:
                done = reply({"status": "COMPLETED", "candidates": [candidate()]})
                writer.write(done if chance.random() < 0.4 else reply(b'"PENDING"'))
                return
            self.calls[name][asked.transaction] += 1
            self.bodies[name][asked.transaction].add(hashlib.sha256(asked.body).hexdigest())
            await asyncio.sleep(chance.uniform(0, self.slowest))
            writer.write(reply({"taskId": f"task-{asked.transaction}"}, 202) if name in LATER else reply([candidate()]))

        return act


@dataclass
class Fleet:
    """The processes. All of them listen on, or share, what this object holds, so that a killed one is missed briefly."""

    variables: dict[str, str]
    log: Path
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=1024))
    members: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    before: list[str] = field(default_factory=list)
    """The beginning of each command, such as what puts it on a host of its own."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def start(self, name: str) -> None:
        """Start the member, or start it again: `api-…` answers calls, `worker-…` runs jobs."""
        number = self.listening.fileno()
        arguments = ["api", "--fd", str(number)] if name.startswith("api") else ["worker"]
        with self.log.open("ab") as log:
            self.members[name] = subprocess.Popen(
                [*self.before, sys.executable, "-m", "broker", *arguments],
                cwd=ROOT,
                env=environment(**self.variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(number,),
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """kill -9, and a new one in its place."""
        self.members[name].kill()
        self.members[name].wait()
        self.kills[name.partition("-")[0]] += 1
        self.start(name)

    def tend(self) -> None:
        """Start again whoever ended by itself, as a service manager would: the database may have been away."""
        for name, process in list(self.members.items()):
            if process.poll() is not None:
                self.kills[f"{name.partition('-')[0]} by itself"] += 1
                self.start(name)

    def end(self) -> None:
        """End all of them."""
        for process in self.members.values():
            process.terminate()
        for process in self.members.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.listening.close()

    def said(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-3000:]


def variables(home: Path, app_url: str, owner_url: str, urls: dict[str, str], folder: Path) -> dict[str, str]:
    """The settings of every member."""
    import json

    return {
        "BROKER_HOME": str(home),
        "BROKER_DATABASE_URL": app_url,
        "BROKER_OWNER_DATABASE_URL": owner_url,
        "BROKER_POLICIES": str(policies(folder)),
        "BROKER_PARTNER_URLS": json.dumps(urls),
        "BROKER_PORT": str(os.getpid() % 1000 + 20_000),
    }
