"""Hosts in network namespaces of their own, with one in the middle where the database and the partners are reached.

Every address lies within the namespaces made here. What really answers stands on sockets of the file system, which
are no part of any network, so the relay in the middle can hand connections on to it.
"""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

_RELAY = """
import asyncio, sys

async def relay(target, reader, writer):
    try:
        if target.startswith("/"):
            there = await asyncio.open_unix_connection(target)
        else:
            there = await asyncio.open_connection(*target.split(":"))
    except OSError:
        writer.close()
        return
    async def pump(source, sink):
        try:
            while chunk := await source.read(65536):
                sink.write(chunk)
                await sink.drain()
        except OSError:
            pass
        sink.close()
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

async def main():
    for place in sys.argv[1:]:
        address, port, target = place.split("=", 2)
        await asyncio.start_server(lambda r, w, target=target: relay(target, r, w), address, int(port))
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
DATABASE, PARTNERS = 5432, 9000
"""Ports in the middle; the partners' are this one and those after it."""


def why_not() -> str:
    """Why namespaces cannot be made here; empty if they can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "network namespaces are made by root on Linux"
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        return "network namespaces need ip (iproute2) and nsenter"
    name = f"bt{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode != 0:
        return f"this machine makes no network namespaces: {made.stderr.strip()[:100]}"
    link = subprocess.run(
        ["ip", "-n", name, "link", "add", "one", "type", "veth", "peer", "name", "two"], capture_output=True, text=True
    )
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    return "" if link.returncode == 0 else f"this machine makes no pairs of links: {link.stderr.strip()[:100]}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


@dataclass
class Network:
    """One namespace in the middle, and one for each host, linked to it."""

    middle: str
    hosts: tuple[str, ...]
    names: dict[str, str] = field(default_factory=dict)

    def inside(self, host: str) -> list[str]:
        """The beginning of a command that runs on *host*."""
        return ["nsenter", f"--net=/run/netns/{self.names[host]}"]

    def database_at(self, host: str) -> str:
        """The database's address as *host* reaches it."""
        return f"10.231.{self.hosts.index(host)}.1"

    def partners_at(self, host: str) -> str:
        """The partners' address as *host* reaches it."""
        return f"10.231.{self.hosts.index(host)}.3"

    def cut_off(self, host: str) -> None:
        """Take *host*'s link away: nothing arrives, and nothing says so."""
        _ip("-n", self.middle, "link", "set", f"to-{host}", "down")

    def link_up(self, host: str) -> None:
        """Give it back, with all its addresses."""
        _ip("-n", self.middle, "link", "set", f"to-{host}", "up")

    def cut_off_from_partners(self, host: str) -> None:
        """Take the partners' address away from *host*; the database's stays."""
        _ip("-n", self.middle, "addr", "del", f"{self.partners_at(host)}/24", "dev", f"to-{host}")

    def link_partners(self, host: str) -> None:
        """Give it back."""
        _ip("-n", self.middle, "addr", "add", f"{self.partners_at(host)}/24", "dev", f"to-{host}")


@contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """Namespaces for these hosts; gone at the end, with every link and address in them."""
    mark = secrets.token_hex(3)
    made = Network(f"bt{mark}-mid", hosts, {host: f"bt{mark}-{host}" for host in hosts})
    with ExitStack() as undone:
        for name in (made.middle, *made.names.values()):
            _ip("netns", "add", name)
            undone.callback(subprocess.run, ["ip", "netns", "del", name], check=False, capture_output=True)
            _ip("-n", name, "link", "set", "lo", "up")
        for number, (host, name) in enumerate(made.names.items()):
            _ip("-n", made.middle, "link", "add", f"to-{host}", "type", "veth", "peer", "name", "eth0", "netns", name)
            for last in (1, 3):
                _ip("-n", made.middle, "addr", "add", f"10.231.{number}.{last}/24", "dev", f"to-{host}")
            _ip("-n", made.middle, "link", "set", f"to-{host}", "up")
            _ip("-n", name, "addr", "add", f"10.231.{number}.2/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
        yield made


@contextmanager
def relays(there: Network, database: Path, partners: Mapping[str, str], folder: Path) -> Iterator[dict[str, int]]:
    """Hand connections to the middle on to *database* and to the *partners*' URLs; each partner's port.

    A partner that is not on the same machine is asked by https only, so each host has a relay of its own besides, from
    the same port of its loopback to the middle.
    """
    ports = {name: PARTNERS + number for number, name in enumerate(partners)}
    with _bridges({folder / f"{name}.sock": url for name, url in partners.items()}):
        # To every address, also one that is taken away and given back later.
        places = [f"0.0.0.0={DATABASE}={database}"]
        places += [f"0.0.0.0={port}={folder / f'{name}.sock'}" for name, port in ports.items()]
        with ExitStack() as opened:
            opened.enter_context(_relaying(there.middle, places))
            for host, name in there.names.items():
                onward = [f"127.0.0.1={port}={there.partners_at(host)}:{port}" for port in ports.values()]
                opened.enter_context(_relaying(name, onward))
            yield ports


@contextmanager
def _relaying(namespace: str, places: list[str]) -> Iterator[None]:
    command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", _RELAY, *places]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


@contextmanager
def _bridges(places: Mapping[Path, str]) -> Iterator[None]:
    """Sockets of the file system that lead to servers on this machine's loopback."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        servers = []
        for path, url in places.items():
            parts = urlsplit(url)
            servers.append(await asyncio.start_unix_server(_to(parts.hostname or "", parts.port or 80), path))
        ready.set()
        await stop.wait()
        for one in servers:
            one.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()


def _to(host: str, port: int):  # type: ignore[no-untyped-def]
    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(65536):
                sink.write(chunk)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    async def bridge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    return bridge


def socket_of(url: str) -> Path:
    """The socket of the file system that a database URL leads to. Skips where it leads to a network."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    folder = query.get("host", [unquote(parts.hostname or "")])[0]
    if not folder.startswith("/"):
        pytest.skip("the hosts in the middle reach the database by its socket; this one listens on a network")
    return Path(folder) / f".s.PGSQL.{parts.port or query.get('port', ['5432'])[0]}"


def through(url: str, address: str) -> str:
    """The same database and role, reached at *address* in the middle."""
    parts = urlsplit(url)
    who = f"{quote(parts.username or '', safe='')}:{quote(parts.password or '', safe='')}"
    return f"postgresql://{who}@{address}:{DATABASE}{parts.path}"
