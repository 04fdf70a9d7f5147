"""What exactly is hashed of an entry: canonical JSON of all its columns, so that no column can change unnoticed.

The bytes are UTF-8 JSON with the names sorted, no spaces, and nothing escaped but what JSON demands; for what
`recorder` lets through they are what RFC 8785 gives. PostgreSQL hands over each value as text that tells any two values
apart, so that a tampered row (a time before Christ, a fraction, an array that starts at 2) gives other bytes and
never an error. See docs/audit.md for an example that other programs can be checked against.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from broker.audit.tree import leaf_hash

FORMAT: Final = 1
"""Stands in each leaf as ``v``. Another set of columns, or another way to write one, is another number."""

COLUMNS: Final = """
    e.id, e.event_id, extract(epoch FROM e.at)::text, e.tag, e.actor_sub, e.actor_agency, (
        CASE WHEN left(e.actor_roles::text, 1) = '[' THEN to_jsonb(e.actor_roles::text) ELSE to_jsonb(e.actor_roles) END
    )::text, e.actor_kind, e.subjects::text, e.detail::text, e.xact::text
"""
"""The select list over ``audit_entry e`` that `content` reads."""

NAMES: Final = (
    "id",
    "event_id",
    "at",
    "tag",
    "actor_sub",
    "actor_agency",
    "actor_roles",
    "actor_kind",
    "subjects",
    "detail",
    "xact",
)
"""The columns in the order of the select list; all that the table has."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC throughout; the Z is written by hand below


def hash_of(row: Sequence[Any]) -> bytes:
    """The leaf hash of an entry read with `COLUMNS`."""
    return leaf_hash(content(row))


def content(row: Sequence[Any]) -> bytes:
    """The bytes of the leaf of an entry read with `COLUMNS`."""
    document = dict(zip(NAMES, row, strict=True))
    document["at"] = moment(document["at"])
    for name in ("actor_roles", "subjects", "detail"):
        document[name] = _parsed(document[name])
    document["v"] = FORMAT
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def moment(epoch: str | None) -> str | None:
    """RFC 3339 in UTC with six decimals, from PostgreSQL's seconds since 1970.

    What has no such form (infinity, a year before 1 or after 9999) stays as PostgreSQL wrote it.
    """
    try:
        return (_EPOCH + timedelta(microseconds=int((epoch or "").replace(".", "")))).isoformat(
            "T", "microseconds"
        ) + "Z"
    except (ValueError, OverflowError):
        return epoch


def _parsed(text: str | None) -> object:
    # Anything that the recorder would not have written stays PostgreSQL's own text, which is never an object or a list.
    try:
        value = json.loads(text or "", parse_float=_refuse)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def _refuse(number: str) -> None:
    raise ValueError(number)
