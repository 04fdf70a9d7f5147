"""What can be wrong with the files of a policy: collected all at once, each with its place and a hint."""

import difflib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from broker.kernel.errors import ConfigurationError

SHOWN = 60
"""Characters of an author's own text that a fault repeats."""


class Fault(BaseModel):
    """One thing that is wrong; line 0 means the file as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class PolicyInvalid(ConfigurationError):
    """The files cannot be used. All faults are listed, in the order of the files."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.file, fault.line)))
        super().__init__("\n".join(map(str, self.faults)))


class Faults:
    """Collects while reading; whoever reads goes on, so that an author sees everything in one run."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, file: str, line: int, reason: str) -> None:
        """Note one fault. The same fault at the same place is noted once."""
        fault = Fault(file=file, line=line, reason=reason)
        if fault not in self._found:
            self._found.append(fault)

    def refuse_any(self) -> None:
        """Raises PolicyInvalid if anything was noted."""
        if self._found:
            raise PolicyInvalid(self._found)


def hint(word: str, known: Iterable[str]) -> str:
    """The nearest known word, as the end of a sentence; empty when none is near."""
    candidates = sorted(map(str, known))
    folded = {candidate.casefold(): candidate for candidate in candidates}
    near = folded.get(word.strip().casefold())
    if near is None:
        near = next((candidate for candidate in candidates if word and candidate.startswith(word)), None)
    if near is None:
        close = difflib.get_close_matches(word, candidates, n=1)
        near = close[0] if close else None
    return f"; did you mean {near!r}?" if near is not None else ""


def quoted(word: str) -> str:
    """An author's word as a fault shows it: escaped, so that look-alikes and control characters are seen, and short."""
    shown = ascii(word)
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 2] + "…'"
