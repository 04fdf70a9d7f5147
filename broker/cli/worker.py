"""``broker worker``: the jobs."""

import asyncio
import signal
from typing import Annotated

import typer

from broker.cli.connect import check_shape, connected, with_database
from broker.cli.registered import refuse_addresses_of_nobody, require_policy
from broker.kernel.errors import ConfigurationError
from broker.settings import Settings, load_settings
from broker.storage.embedded import Endpoint, attach


def command(
    check: Annotated[
        bool, typer.Option("--check", help="Say whether a worker of this host is at work, and end: for health checks.")
    ] = False,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Run the jobs: searches, sweeping, the audit's sequencer. As many of these as wanted, on any machine."""
    settings = load_settings()
    if check:
        _check(settings)
        return
    if not child:
        refuse_addresses_of_nobody(settings)
    with connected(settings, patient=child) as endpoint:
        if not child:
            require_policy(settings, endpoint)
        asyncio.run(_work(with_database(settings, endpoint)))


def _check(settings: Settings) -> None:
    from broker.processes.worker_check import found_wanting

    database = settings.database_url
    if database is None:
        running = attach(settings.home)
        database = running.app_url if running is not None else None
    if database is None:
        wanting = "the database is not running"
    else:
        try:
            check_shape(Endpoint(owner_url=database, app_url=database))
            wanting = asyncio.run(found_wanting(database))
        except ConfigurationError as error:
            wanting = error.detail
    if wanting:
        typer.echo(f"broker: {wanting}", err=True)
        raise typer.Exit(1)
    typer.echo("a worker of this host is at work")


async def _work(settings: Settings) -> None:
    from broker.wiring.traces import provide
    from broker.wiring.worker import run_worker

    provide(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, stop.set)
    await run_worker(settings, stop)
