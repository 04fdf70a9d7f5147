"""Ending what runs until it is cancelled."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

AGAIN_SECONDS: Final = 8.0
"""Longer than what is under way is given to finish."""


async def ended(tasks: Collection["asyncio.Task[Any]"], again_seconds: float = AGAIN_SECONDS) -> list[Any]:
    """Cancel *tasks* and wait until every one has ended; what each came to, an exception as a value.

    A cancellation can be lost: where the database's connection breaks in the same moment, the driver raises that
    instead, and a loop that outlives failures goes on for ever. So whoever goes on is cancelled again.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=again_seconds)
    return await asyncio.gather(*tasks, return_exceptions=True)
