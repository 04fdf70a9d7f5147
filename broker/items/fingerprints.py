"""Recognising what the broker has given somebody, when it comes back without saying where from.

A fingerprint is a keyed hash of a text in one normal form, so that whoever reads the table cannot try texts against it.
It says nothing about where the text came from; that is looked up among what the asking agency was given. Pure.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from broker.items.model import Content
from broker.storage.sealing import Sealer

SHORTEST: Final = 20
"""Characters. What is shorter is said by everybody; to recognise it would mark words that nobody has taken."""
_SPACE: Final = re.compile(r"\s+")
_DEEPEST: Final = 32


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of something that stands at these places of a content; the empty place is the whole."""

    places: tuple[str, ...]
    mac: bytes
    own: bool
    """Whether it is a part that names no source: the author's component's own words."""


def of_content(sealer: Sealer, content: Content) -> list[Fingerprint]:
    """All that is recognised of a content: the whole, each candidate, and each part's text and its lines.

    Not the title: the same one stands over many things.
    """
    found = [Fingerprint(("",), _mac_of_value(sealer, content), own=False)]
    for n, one in enumerate(content.get("candidates", ())):
        found.append(Fingerprint((f"/candidates/{n}",), _mac_of_value(sealer, _candidate(one)), own=False))
    told = [(f"/parts/{n}/text", part["text"], not part["sources"]) for n, part in enumerate(content.get("parts", ()))]
    found += [Fingerprint((place,), mac, own) for place, text, own in told for mac in _macs_of_text(sealer, text)]
    return found


def of_fields(sealer: Sealer, values: dict[str, Any]) -> Fingerprint:
    """The hash of some fields as a release hands them out, each under its pointer."""
    return Fingerprint(tuple(sorted(values)), _mac_of_value(sealer, values), own=False)


def of_whole(sealer: Sealer, content: Any) -> bytes:
    """The hash of a content, or of fields of one, that has come back."""
    return _mac_of_value(sealer, content)


def of_text(sealer: Sealer, text: str) -> frozenset[bytes]:
    """Every hash by which a text that names no source could be recognised, also as JSON that was pasted."""
    macs = set(_macs_of_text(sealer, text))
    if text.lstrip().startswith(("{", "[")):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return frozenset(macs)
        for value in _nodes(document, 0):
            if isinstance(value, str):
                macs.update(_macs_of_text(sealer, value))
            else:
                forms = [value, _candidate(value)] if "reference" in value else [value]
                macs.update(_mac_of_value(sealer, form) for form in forms if len(_canonical(form)) >= SHORTEST)
    return frozenset(macs)


def _candidate(candidate: dict[str, Any]) -> dict[str, Any]:
    # Rank, score and number in the list change from one answer to the next; who is meant does not.
    return {"reference": candidate.get("reference"), "facts": candidate.get("facts")}


def _nodes(value: Any, depth: int) -> Iterator[Any]:
    """Every object and every text in a document."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nodes(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner, depth + 1)


def _macs_of_text(sealer: Sealer, text: str) -> Iterator[bytes]:
    for piece in dict.fromkeys((text, *text.splitlines())):
        normal = _normal(piece)
        if len(normal) >= SHORTEST:
            yield sealer.fingerprint(b"text\0" + normal.encode(errors="surrogatepass"))


def _mac_of_value(sealer: Sealer, value: Any) -> bytes:
    return sealer.fingerprint(b"json\0" + _canonical(value).encode(errors="surrogatepass"))


def _canonical(value: Any) -> str:
    return json.dumps(_normalised(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _normalised(value: Any) -> Any:
    if isinstance(value, str):
        return _normal(value)
    if isinstance(value, dict):
        return {_normal(name): _normalised(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_normalised(inner) for inner in value]
    return value


def _normal(text: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()
