"""Whatever runs until it is cancelled ends, also where its first cancellation is lost."""

import asyncio

import pytest

from broker.jobs.ending import ended
from broker.jobs.queue import every


class Breaks:
    """A connection that breaks in the moment in which its user is cancelled, as the driver tells it."""

    def __init__(self) -> None:
        self.calls = 0

    async def asked(self) -> None:
        self.calls += 1
        try:
            await asyncio.sleep(60 if self.calls == 1 else 0)
        except asyncio.CancelledError:
            raise ConnectionError("the server closed the connection") from None


def test_a_duty_whose_cancellation_was_lost_ends_all_the_same() -> None:
    async def run() -> None:
        broken = Breaks()
        duty = asyncio.create_task(every(0.01, "looks", broken.asked))
        quick = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0.05)
        first, second = await asyncio.wait_for(ended([duty, quick], 1.0), 10)
        assert broken.calls > 1, "it did lose the first"
        assert isinstance(first, asyncio.CancelledError)
        assert isinstance(second, asyncio.CancelledError)

    asyncio.run(run())


def test_traitor_that_cancels_once_waits_for_ever() -> None:
    async def run() -> None:
        duty = asyncio.create_task(every(0.01, "looks", Breaks().asked))
        await asyncio.sleep(0.05)
        duty.cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(duty), 0.5)
        await ended([duty])

    asyncio.run(run())
