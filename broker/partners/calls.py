"""What one process counts of its calls to partners: how many, how long, and whether the partner's side was sound.

Not what the answers said: a call that brought a hit and one that brought none count alike.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from broker.kernel.ids import PartnerId
from broker.kernel.wire import Health

BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the histogram's buckets, in seconds; one more takes what is longer."""
ABANDONED: Final = "abandoned"
"""The word for a call that was given up on our side, because the leg's time was over."""


class _Counted:
    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0


class CallCounts:
    """Counts from the start of the process."""

    def __init__(self) -> None:
        self._partners: dict[PartnerId, _Counted] = {}

    def of(self, partner: PartnerId) -> Callable[[Health | None, float], None]:
        """What takes note of one ended call to *partner*: its health, None if it was given up, and its seconds."""

        def note(health: Health | None, seconds: float) -> None:
            counted = self._partners.setdefault(partner, _Counted())
            counted.ends[ABANDONED if health is None else health.value] += 1
            counted.buckets[bisect_left(BOUNDS, seconds)] += 1
            counted.seconds += seconds

        return note

    def told(self) -> dict[str, Any]:
        """All counts as JSON."""
        return {
            partner: {"ends": dict(one.ends), "buckets": list(one.buckets), "seconds": round(one.seconds, 6)}
            for partner, one in self._partners.items()
        }
