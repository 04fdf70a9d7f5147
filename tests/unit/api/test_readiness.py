"""Whether a process can serve, asked by many at once."""

import asyncio
from types import SimpleNamespace

import pytest

from broker.wiring import api
from broker.wiring.api import Readiness


class Once(Readiness):
    """The first look ends well; the database is silent for all that come later."""

    looks = 0

    async def _look(self) -> bool:
        self.looks += 1
        if self.looks > 1:
            await asyncio.sleep(3600)
        return True


@pytest.mark.parametrize("steps", range(8))
def test_who_asks_just_as_another_is_answered_does_not_take_that_answer(
    monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(api, "_READY_SECONDS", 0.05)

    async def trial() -> tuple[bool, bool]:
        readiness = Once(SimpleNamespace(work=None, policies=None))  # type: ignore[arg-type]

        async def later() -> bool:
            for _ in range(steps):
                await asyncio.sleep(0)
            return await readiness.ready()

        return await asyncio.gather(readiness.ready(), later())

    first, _ = asyncio.run(trial())
    assert first
