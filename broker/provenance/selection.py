"""Places in a content, as JSON Pointers (RFC 6901): which of them a marking is about. Pure.

Two places touch when one is the other or lies within it; whoever owns a part of what is asked for is asked. What
cannot be told — a pointer that is not well formed — touches everything.
"""

from collections.abc import Iterable, Iterator

Selectors = tuple[str, ...] | None
"""The places that a marking is about; None is the whole content."""


def well_formed(pointer: str) -> bool:
    """Whether it is a pointer to a place within the content. The empty one, the whole, is not written as a place."""
    return pointer.startswith("/") and "~" not in pointer.replace("~0", "").replace("~1", "")


def touch(one: str, other: str) -> bool:
    """Whether one place is the other, or lies within it. Compared name by name: `/part` is not within `/parts`."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def reaches(selectors: Selectors, field: str) -> bool:
    """Whether something marked with these selectors is asked for with *field*."""
    return selectors is None or not well_formed(field) or any(touch(one, field) for one in selectors)


def unite(one: Selectors, other: Selectors) -> Selectors:
    """All places of both, each once and none that lies within another; the whole content absorbs every place."""
    return None if one is None or other is None else outermost((*one, *other))


def outermost(places: Iterable[str]) -> tuple[str, ...]:
    """*places* without those that lie within another of them, in one canonical order."""
    every = set(places)
    return tuple(sorted(one for one in every if every.isdisjoint(_around(one))))


def _around(place: str) -> Iterator[str]:
    """The places that *place* lies within."""
    names = place.split("/")
    return ("/".join(names[:length]) for length in range(2, len(names)))
