"""The only place for procrastinate: a queue of named jobs with small JSON arguments.

A job may run more than once (its worker can die half-way), so every handler is written to be run again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Any, Final

import procrastinate
import structlog

from broker.storage.unit_of_work import Transaction

HEARTBEAT_SECONDS: Final = 1.0
STALLED_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)

Handler = Callable[[str], Awaitable[None]]


class JobQueue:
    """Jobs of fixed names, each with one argument: the id of what it is about."""

    def __init__(self, conninfo: str, handlers: Mapping[str, Handler]) -> None:
        connector = procrastinate.PsycopgConnector(conninfo=conninfo, min_size=1, max_size=8)
        self._app = procrastinate.App(connector=connector)
        for name, handler in handlers.items():
            self._register(name, handler)

    def opened(self) -> AbstractAsyncContextManager[procrastinate.App]:
        """The queue's own connections, for the time of the block. Deferring in a transaction needs none."""
        return self._app.open_async()

    async def defer(self, tx: Transaction, name: str, about: str, *, after: timedelta | None = None) -> None:
        """Promise to run the job *name* about *about*, in this transaction; *after* that long at the earliest."""
        job = self._app.configure_task(
            name,
            lock=f"{name}:{about}",
            schedule_in={"seconds": after.total_seconds()} if after is not None else None,
            connection=await tx.driver(),
        )
        await job.defer_async(about=about)

    async def work(self, *, concurrency: int) -> None:
        """Run jobs until cancelled; then let those that run finish for a while. Outlives the database's outages."""
        while True:
            try:
                await self._work(concurrency)
                _log.warning("jobs_interrupted")  # Its heartbeat failed, which the library has logged.
            except procrastinate.exceptions.ConnectorException:
                _log.exception("jobs_interrupted")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _work(self, concurrency: int) -> None:
        await self._app.run_worker_async(
            concurrency=concurrency,
            install_signal_handlers=False,
            listen_notify=True,
            fetch_job_polling_interval=0.5,
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=STALLED_SECONDS,
            shutdown_graceful_timeout=5,
            delete_jobs="successful",
        )

    async def take_over_stalled(self) -> int:
        """Put back every job whose worker has not been heard of; the number put back."""
        manager = self._app.job_manager
        stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS))
        for job in stalled:
            _log.warning("job_taken_over", job=job.task_name, about=job.task_kwargs.get("about"))
            await manager.retry_job(job)
        return len(stalled)

    def _register(self, name: str, handler: Handler) -> None:
        async def run(about: str) -> None:
            await handler(about)

        # A job that raises is tried again; what it is about has a deadline of its own that ends it.
        retry = procrastinate.RetryStrategy(max_attempts=20, wait=1)
        self._app.task(name=name, retry=retry)(run)


async def every(
    seconds: float, name: str, act: Callable[[], Awaitable[Any]], early: asyncio.Event | None = None
) -> None:
    """Do *act* again and again until cancelled. A failure is logged, and the next round tried.

    Where *early* is set meanwhile, the next round does not wait for its time.
    """
    while True:
        if early is not None:
            early.clear()
        try:
            await act()
        except Exception:  # noqa: BLE001 - whatever it was, the next round must come
            _log.exception("periodic_work_failed", work=name)
        if early is None:
            await asyncio.sleep(seconds)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(early.wait(), seconds)
