"""JSON read so that two readers can never see two different things in the same bytes.

Python's own reader takes the last of two equal keys, accepts NaN, turns 1e999 into infinity and raises
RecursionError on deep nesting. Each of these is refused here, with one typed error and without the input in it.
"""

import json
import math
import re
from typing import Final, TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

MAX_DEPTH: Final = 64
"""Levels of arrays and objects. Nothing that the broker exchanges needs ten."""

# The closing quote is optional, so that an unclosed string is eaten in one step and the scan stays linear.
_BRACKET_OR_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class NotStrictJson(ValueError):
    """The bytes are not one JSON text that everybody reads alike. The message never holds a part of them."""


def read(body: bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """Parse *body*. The caller has already bounded its length."""
    _check_depth(body, max_depth)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotStrictJson("not UTF-8") from None
    try:
        value: Json = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)
    except NotStrictJson:
        raise
    except (ValueError, RecursionError):
        raise NotStrictJson("not JSON") from None
    if _SURROGATE_ESCAPE.search(text):
        _check_surrogates(value)
    return value


def _check_depth(body: bytes, max_depth: int) -> None:
    depth = 0
    for found in _BRACKET_OR_STRING.finditer(body):
        mark = found.group()
        if mark in (b"[", b"{"):
            depth += 1
            if depth > max_depth:
                raise NotStrictJson("nested too deeply")
        elif mark in (b"]", b"}"):
            depth -= 1


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJson("an object has the same key twice")
    return members


def _refuse_constant(_name: str) -> Json:
    raise NotStrictJson("NaN and Infinity are not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotStrictJson("a number is too large")
    return number


def _check_surrogates(value: Json) -> None:
    # Half of a surrogate pair is no character: it could not be stored or sent on.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotStrictJson("a string holds half of a surrogate pair") from None
