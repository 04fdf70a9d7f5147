"""The end of an API process, begun before it stops listening: it says that it is not ready, and lets go of who waits."""

from collections.abc import Callable


class Ending:
    """Whether this process is about to end."""

    def __init__(self) -> None:
        self.begun = False
        self._heard: list[Callable[[], None]] = []

    def tell(self, whom: Callable[[], None]) -> None:
        """Have *whom* called when the end begins."""
        self._heard.append(whom)

    def begin(self) -> None:
        """From here on new work should go elsewhere; what is under way is finished. In the event loop only."""
        if self.begun:
            return
        self.begun = True
        for one in self._heard:
            one()
