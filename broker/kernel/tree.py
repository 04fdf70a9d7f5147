"""A closed set of names, each with at most one parent.

Agencies and purposes are both trees. Names are compared as they are written: no folding of case, no trimming,
no wildcard. What is not in the tree is under nothing.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType


class TreeError(ValueError):
    """The parents given do not make a tree: an unknown parent, or a cycle."""


class Tree:
    """Immutable; built once from ``{name: parent or None}``."""

    def __init__(self, parents: Mapping[str, str | None]) -> None:
        self._chains = MappingProxyType({name: _chain(name, parents) for name in parents})

    def __contains__(self, name: object) -> bool:
        return name in self._chains

    def __iter__(self) -> Iterator[str]:
        return iter(self._chains)

    def chain(self, name: str) -> tuple[str, ...]:
        """The name itself, then its parent, up to the root; empty for a name that is not known."""
        return self._chains.get(name, ())

    def within(self, name: str, ancestor: str) -> bool:
        """Whether *name* is *ancestor* or somewhere below it. Unknown names are within nothing."""
        return ancestor in self.chain(name)

    def root(self, name: str) -> str | None:
        """The topmost ancestor, for an agency its department; None for a name that is not known."""
        chain = self.chain(name)
        return chain[-1] if chain else None


def _chain(name: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    chain: list[str] = []
    step: str | None = name
    while step is not None:
        if step in chain:
            raise TreeError(f"{name!r} is its own ancestor")
        if step not in parents:
            raise TreeError(f"{chain[-1]!r} has the unknown parent {step!r}")
        chain.append(step)
        step = parents[step]
    return tuple(chain)
