"""A content with nothing in it but what some JSON Pointers lead to, each still at its own place. Pure."""

from typing import Any

from broker.items.model import Content
from broker.items.projection import PointerUnresolved, names_of, resolve


def excerpt(content: Content, pointers: tuple[str, ...]) -> Content:
    """What the *pointers* lead to, in its place; elements of a list that are not meant are None.

    A pointer that leads to nothing adds nothing.
    """
    made: Content = {}
    for pointer in sorted(pointers):
        try:
            value = resolve(content, pointer)
        except PointerUnresolved:
            continue
        _put(made, content, names_of(pointer), value)
    return made


def _put(made: Any, whole: Any, names: list[str], value: Any) -> None:
    for name in names[:-1]:
        key: Any = int(name) if isinstance(whole, list) else name
        whole = whole[key]
        inner = made.get(key) if isinstance(made, dict) else made[key]
        if inner is None:
            inner = [None] * len(whole) if isinstance(whole, list) else {}
            made[key] = inner
        if inner is whole:
            return  # A pointer above this one has brought all of it.
        made = inner
    made[int(names[-1]) if isinstance(whole, list) else names[-1]] = value
