"""``broker up``, which is ``make serve``: invented partners, API, jobs and database, for one machine."""

import fcntl
import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import socket
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from broker.cli.children import Child, ChildGaveUp, Family, Stop
from broker.cli.listening import listen, url_of
from broker.cli.registered import refuse_unservable_partners, registered_partners
from broker.cli.standin import credentials, standins
from broker.kernel.errors import ConfigurationError
from broker.settings import Settings, load_settings
from broker.storage.embedded.process import end_with_parent
from broker.storage.keys import make_home

_READY_SECONDS: Final = 120.0
_STEP: Final = 0.2


def command(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer calls.")] = 1,
    end_with_parent_process: Annotated[
        bool, typer.Option("--end-with-parent", help="End when the process that started this one is gone (Linux).")
    ] = False,
) -> None:
    """Run everything on this machine: invented partners, the API, the jobs. For development, not for real data."""
    stop = Stop()
    if end_with_parent_process:
        _end_with_parent()
    settings = load_settings()
    refuse_unservable_partners(settings)
    try:
        with _alone(settings.home), ExitStack() as open_things:
            _run(settings, workers, stop, open_things)
    except ChildGaveUp as gone:
        typer.echo(f"broker: {gone}; it cannot be kept running, so everything ends", err=True)
        raise typer.Exit(gone.code if gone.code > 0 else 1) from None


def _run(settings: Settings, workers: int, stop: Stop, open_things: ExitStack) -> None:
    family = Family(grace=30.0 + settings.drain_seconds)
    open_things.callback(family.end)
    sock = open_things.enter_context(listen(settings.host, settings.port))
    url = url_of(sock)
    partners = dict(settings.partner_urls)
    invented = {}
    for name in registered_partners(settings):
        if name not in partners and name in standins():
            invented[name] = open_things.enter_context(listen("127.0.0.1", 0))
            partners[name] = url_of(invented[name])
    base_url = settings.public_url or url
    family.start(*(_standin(name, place, credentials(name, settings, base_url)) for name, place in invented.items()))
    family.start(_service(sock, workers, partners))
    if not _ready(sock, family, stop):
        return
    announcement = settings.home / "serve.json"
    open_things.callback(announcement.unlink, missing_ok=True)
    _announce(announcement, url, partners)
    _greet(url, partners, invented)
    while not stop.wait(_STEP):
        family.tend()
    announcement.unlink(missing_ok=True)


def _standin(name: str, place: socket, environment: dict[str, str]) -> Child:
    arguments = ["partner-standin", name, "--fd", str(place.fileno())]
    return Child(f"stand-in {name}", arguments, environment, sockets=(place.fileno(),))


def _service(sock: socket, workers: int, partners: dict[str, str]) -> Child:
    arguments = ["serve", "--with-worker", "--workers", str(workers), "--fd", str(sock.fileno())]
    return Child("serve", arguments, {"BROKER_PARTNER_URLS": json.dumps(partners)}, sockets=(sock.fileno(),))


def _ready(sock: socket, family: Family, stop: Stop) -> bool:
    """Whether the service became ready; False if this process is to end before."""
    deadline = time.monotonic() + _READY_SECONDS
    while not _answers(url_of(sock)):
        if stop.wait(_STEP):
            return False
        family.tend()
        if time.monotonic() > deadline:
            raise ConfigurationError(f"the service was not ready within {_READY_SECONDS:.0f} seconds")
    return not stop.asked


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _announce(path: Path, url: str, partners: dict[str, str]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"url": url, "partners": partners}, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def _greet(url: str, partners: dict[str, str], invented: dict[str, socket]) -> None:
    typer.echo(f"\nThe broker is ready at {url}   (what it answers to: openapi/broker.yaml)")
    for name, place in partners.items():
        typer.echo(f"  partner {name} at {place}{' (invented, synthetic answers)' if name in invented else ''}")
    typer.echo("\nA token for trying it:")
    typer.echo("  .venv/bin/broker token --sub ana --agency ICE-HSI --role analyst | tail -n 1")
    typer.echo("\nCtrl-C ends everything.")


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Nobody else does this on the same home; what an earlier one said that was killed is taken back."""
    make_home(home)
    with (home / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"this is running already on {home}; see {home / 'serve.json'}") from None
        (home / "serve.json").unlink(missing_ok=True)
        yield


def _end_with_parent() -> None:
    # The same request that children make; here the parent is somebody else's program, such as make.
    request = end_with_parent(signal.SIGTERM, of=os.getppid())
    if request is not None:
        request()
