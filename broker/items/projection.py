"""Parts of a content by JSON Pointer (RFC 6901). Pure."""

from typing import Any, Final

from broker.items.model import Content

_DIGITS: Final = 10


class PointerUnresolved(ValueError):
    """The pointer is not well formed, or leads to nothing in this content."""


def resolve(content: Content, pointer: str) -> Any:
    """The value at *pointer*; raises PointerUnresolved."""
    value: Any = content
    for name in names_of(pointer):
        value = _step(value, name)
    return value


def project(content: Content, pointers: tuple[str, ...]) -> dict[str, Any]:
    """The values at the *pointers*, each under its pointer, and nothing else of the content."""
    return {pointer: resolve(content, pointer) for pointer in pointers}


def all_resolve(content: Content, pointers: tuple[str, ...]) -> bool:
    """Whether every pointer leads to something."""
    try:
        project(content, pointers)
    except PointerUnresolved:
        return False
    return True


def names_of(pointer: str) -> list[str]:
    """The names that a pointer consists of, unescaped; raises PointerUnresolved when it is not well formed."""
    if not pointer.startswith("/"):
        raise PointerUnresolved("a JSON Pointer begins with '/'")
    names = []
    for raw in pointer[1:].split("/"):
        if "~" in raw.replace("~0", "").replace("~1", ""):
            raise PointerUnresolved("'~' is written '~0' in a JSON Pointer")
        names.append(raw.replace("~1", "/").replace("~0", "~"))
    return names


def _step(value: Any, name: str) -> Any:
    if isinstance(value, dict) and name in value:
        return value[name]
    # An index is written without leading zeros, so that one place has one pointer.
    index = name.isascii() and name.isdigit() and len(name) < _DIGITS and str(int(name)) == name
    if isinstance(value, list) and index and int(name) < len(value):
        return value[int(name)]
    raise PointerUnresolved("the pointer leads to nothing in this content")
