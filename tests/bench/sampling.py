"""Times and what is said of them: medians and percentiles, never a mean, and every ratio between medians of one run."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value at or below which *share* of the values lie (nearest rank)."""
    if not sorted_values:
        return float("nan")
    rank = max(1, -(-int(share * 1000) * len(sorted_values) // 1000))
    return sorted_values[min(rank, len(sorted_values)) - 1]


@dataclass
class Sample:
    """Milliseconds of one thing, gathered in rounds that take turns with the things it is compared with."""

    name: str
    rounds: list[list[float]] = field(default_factory=list)

    def add(self, milliseconds: list[float]) -> None:
        self.rounds.append(milliseconds)

    @property
    def median(self) -> float:
        """The median of the rounds' medians: one round in which the machine was busy elsewhere does not move it."""
        return statistics.median(statistics.median(one) for one in self.rounds)

    @property
    def lowest(self) -> float:
        """The best round's median: what the thing itself costs, others' work left out as far as can be."""
        return min(statistics.median(one) for one in self.rounds)

    def summary(self) -> dict[str, Any]:
        every = sorted(value for one in self.rounds for value in one)
        return {
            "name": self.name,
            "calls": len(every),
            "rounds": len(self.rounds),
            "median_ms": round(self.median, 4),
            "best_round_median_ms": round(self.lowest, 4),
            "p50_ms": round(percentile(every, 0.50), 4),
            "p99_ms": round(percentile(every, 0.99), 4),
        }


def timed(act: Callable[[], object], calls: int) -> list[float]:
    """Milliseconds of each call."""
    found = []
    for _ in range(calls):
        began = time.perf_counter()
        act()
        found.append((time.perf_counter() - began) * 1000)
    return found


async def timed_async(act: Callable[[], Awaitable[object]], calls: int) -> list[float]:
    """Milliseconds of each call, one after the other."""
    found = []
    for _ in range(calls):
        began = time.perf_counter()
        await act()
        found.append((time.perf_counter() - began) * 1000)
    return found
