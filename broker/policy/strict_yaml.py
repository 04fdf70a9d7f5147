"""YAML as far as it is harmless: plain mappings, lists and values, each key once, with the line of everything.

Of PyYAML only the scanner and parser are used, never a constructor. The usual reader takes the last of two equal
keys, lets an anchor multiply itself into gigabytes, and reads ``no`` as false; none of that happens here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from broker.policy.faults import Faults, hint, quoted

MAX_DEPTH: Final = 10
MAX_NODES: Final = 20_000

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"]
Path: TypeAlias = tuple[str | int, ...]
_Model = TypeVar("_Model", bound=BaseModel)

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}\Z")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where it says it."""

    file: str
    value: Plain
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of that place, or of the nearest place around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


class _Refused(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def read(file: str, text: str, faults: Faults) -> Document | None:
    """The one document in *text*, or None after noting what is wrong with it."""
    builder = _Builder(_events(text))
    try:
        value = builder.document()
    except _Refused as refused:
        faults.add(file, refused.line, refused.reason)
        return None
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        faults.add(file, mark.line + 1 if mark else 0, f"this is not YAML: {broken.problem}")
        return None
    except yaml.YAMLError:
        faults.add(file, 0, "this is not YAML")
        return None
    return Document(file, value, builder.lines)


def fit(document: Document, at: Path, value: Plain, model: type[_Model], faults: Faults) -> _Model | None:
    """*value*, which stands at the path *at*, as a checked value; or None after noting what does not fit."""
    try:
        # Through JSON, because strictness there still allows a date or a closed word to be written as text.
        return model.model_validate_json(to_json(value))
    except ValidationError as wrong:
        for error in wrong.errors(include_url=False, include_context=True):
            place = tuple(step for step in error["loc"] if step != "[key]")
            faults.add(document.file, document.line_of(at + place), _reason(model, error))
        return None


def entries(document: Document, model: type[_Model], faults: Faults) -> list[tuple[int, _Model]]:
    """The entries of a document that is a list, each with its line."""
    if not isinstance(document.value, list) or not document.value:
        faults.add(document.file, document.line_of(()), "the file must be a list with at least one entry")
        return []
    found = []
    for index, value in enumerate(document.value):
        entry = fit(document, (index,), value, model, faults)
        if entry is not None:
            found.append((document.line_of((index,)), entry))
    return found


def _reason(model: type[BaseModel], error: ErrorDetails) -> str:
    place = ".".join(map(str, error["loc"]))
    last = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "missing":
        return f"the key {place!r} is missing"
    if error["type"] == "extra_forbidden":
        near = hint(last, model.model_fields) if len(error["loc"]) == 1 else ""
        return f"unknown key {quoted(place)}{near}"
    return f"{place or 'the entry'}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _events(text: str) -> Iterator[yaml.Event]:
    # Both readers work lazily, so nesting is refused before it is followed.
    return iter(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


class _Builder:
    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._nodes = 0
        self.lines: dict[Path, int] = {}

    def document(self) -> Plain:
        self._next(yaml.StreamStartEvent)
        start = self._next(yaml.DocumentStartEvent, yaml.StreamEndEvent)
        if isinstance(start, yaml.StreamEndEvent):
            raise _Refused(0, "the file is empty")
        value = self._node(next(self._events), ())
        self._next(yaml.DocumentEndEvent)
        extra = next(self._events)
        if not isinstance(extra, yaml.StreamEndEvent):
            raise _Refused(_line(extra), "a file holds one document")
        return value

    def _next(self, *kinds: type[yaml.Event]) -> yaml.Event:
        event = next(self._events)
        if not isinstance(event, kinds):
            raise _Refused(_line(event), "this is not one plain document")
        return event

    def _node(self, event: yaml.Event, path: Path) -> Plain:
        self._nodes += 1
        self.lines[path] = _line(event)
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise _Refused(_line(event), f"nested deeper than {MAX_DEPTH} levels, or more than {MAX_NODES} values")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _Refused(_line(event), "anchors and aliases are not allowed; write it out")
        if getattr(event, "tag", None) is not None:
            raise _Refused(_line(event), "tags such as '!!str' are not allowed; put quotes around a text")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        return self._mapping(path)

    def _list(self, path: Path) -> list[Plain]:
        found: list[Plain] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._node(event, (*path, len(found))))
        return found

    def _mapping(self, path: Path) -> dict[str, Plain]:
        found: dict[str, Plain] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag is not None:
                raise _Refused(_line(event), "a key must be one plain word")
            key = str(event.value)
            if key in found:
                raise _Refused(_line(event), f"the key {quoted(key)} stands here twice")
            found[key] = self._node(next(self._events), (*path, key))
            # A fault about a value is best shown where its key stands.
            self.lines[(*path, key)] = _line(event)
        return found


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 0


def _scalar(event: yaml.ScalarEvent) -> Plain:
    text = str(event.value)
    if event.style:
        return text.strip() if event.style in "|>" else text
    if text in ("", "~") or text.casefold() == "null":
        raise _Refused(_line(event), "a value is missing; leave the key out, or put quotes around a text")
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.match(text):
        return int(text)
    if _DECIMAL.match(text):
        return float(text)
    return text
