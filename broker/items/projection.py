"""Parts of a content by JSON Pointer (RFC 6901). Pure."""

from typing import Any

from broker.items.model import Content


class PointerUnresolved(ValueError):
    """The pointer is not well formed, or leads to nothing in this content."""


def resolve(content: Content, pointer: str) -> Any:
    """The value at *pointer*; raises PointerUnresolved."""
    value: Any = content
    for token in _tokens(pointer):
        value = _step(value, token)
    return value


def project(content: Content, pointers: tuple[str, ...]) -> dict[str, Any]:
    """The values at the *pointers*, each under its pointer, and nothing else of the content."""
    return {pointer: resolve(content, pointer) for pointer in pointers}


def _tokens(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise PointerUnresolved("a JSON Pointer begins with '/'")
    tokens = []
    for raw in pointer[1:].split("/"):
        if "~" in raw.replace("~0", "").replace("~1", ""):
            raise PointerUnresolved("'~' is written '~0' in a JSON Pointer")
        tokens.append(raw.replace("~1", "/").replace("~0", "~"))
    return tokens


def _step(value: Any, token: str) -> Any:
    if isinstance(value, dict) and token in value:
        return value[token]
    plain = token.isascii() and token.isdigit() and (token == "0" or not token.startswith("0"))
    if isinstance(value, list) and plain and int(token) < len(value):
        return value[int(token)]
    raise PointerUnresolved("the pointer leads to nothing in this content")
