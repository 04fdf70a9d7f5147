"""``broker serve``: the API in as many processes as asked, the jobs beside it, and the database below it."""

from socket import socket
from typing import Annotated, Final

import typer

from broker.cli.children import Child, ChildGaveUp, Family, Stop
from broker.cli.connect import check_shape
from broker.cli.listening import inherited, listen, url_of
from broker.cli.migrate import migrate
from broker.cli.registered import refuse_addresses_of_nobody, require_policy
from broker.settings import Settings, load_settings
from broker.storage.embedded import EmbeddedPostgres, Endpoint

_TEND_SECONDS: Final = 0.5


def command(
    host: Annotated[str | None, typer.Option(help="BROKER_HOST without it.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="BROKER_PORT without it; 0: any free one.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer calls.")] = 1,
    with_worker: Annotated[
        bool | None,
        typer.Option("--with-worker/--without-worker", help="Also run the jobs; the default on the embedded database."),
    ] = None,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Answer calls until SIGTERM or Ctrl-C. The database gets the newest shape first."""
    stop = Stop()
    settings = load_settings()
    if fd is None:
        refuse_addresses_of_nobody(settings)
    address = (settings.host if host is None else host, settings.port if port is None else port)
    with inherited(fd) if fd is not None else listen(*address) as sock:
        jobs = settings.embedded if with_worker is None else with_worker
        try:
            _run(settings, sock, workers, stop, jobs=jobs)
        except ChildGaveUp as gone:
            typer.echo(f"broker: {gone}; it cannot be kept running, so everything ends", err=True)
            raise typer.Exit(gone.code if gone.code > 0 else 1) from None


def _run(settings: Settings, sock: socket, workers: int, stop: Stop, *, jobs: bool) -> None:
    database = EmbeddedPostgres(settings.home) if settings.embedded else None
    family = Family(grace=15.0 + settings.drain_seconds)
    try:
        endpoint = database.start() if database is not None else _given(settings)
        migrate(endpoint)
        check_shape(endpoint)
        require_policy(settings, endpoint)
        family.start(*_children(sock, workers, jobs=jobs))
        typer.echo(f"broker listens on {url_of(sock)}")
        while not stop.wait(_TEND_SECONDS):
            if database is not None:
                now = database.tend()
                if now != endpoint:
                    endpoint = now
                    family.restart()
            family.tend()
    finally:
        family.end()
        if database is not None:
            database.stop()


def _given(settings: Settings) -> Endpoint:
    assert settings.database_url is not None
    return Endpoint(owner_url=settings.owner_database_url or settings.database_url, app_url=settings.database_url)


def _children(sock: socket, workers: int, *, jobs: bool) -> list[Child]:
    # What the options and the free port turned out to be, the children are told as settings.
    host, port = sock.getsockname()[:2]
    environment = {"BROKER_HOST": str(host), "BROKER_PORT": str(port)}
    api = [
        Child(f"api process {number}", ["api", "--fd", str(sock.fileno())], environment, sockets=(sock.fileno(),))
        for number in range(1, workers + 1)
    ]
    return [*api, Child("worker", ["worker", "--child"], environment)] if jobs else api
