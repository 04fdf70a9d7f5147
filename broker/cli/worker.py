"""``broker worker``: the jobs."""

import asyncio
import signal

from broker.cli.connect import connected, with_database
from broker.settings import Settings, load_settings


def command() -> None:
    """Run the jobs: searches, sweeping, the audit's sequencer. As many of these as wanted, on any machine."""
    settings = load_settings()
    with connected(settings) as endpoint:
        asyncio.run(_work(with_database(settings, endpoint)))


async def _work(settings: Settings) -> None:
    from broker.wiring.worker import run_worker

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, stop.set)
    await run_worker(settings, stop)
