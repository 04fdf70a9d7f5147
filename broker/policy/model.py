"""Reads ``model.conf`` and holds it to what the engine was built for.

The file is there to be read by authors and auditors, and its bytes are part of the digest; it is not a place to
change the rules of the game. A matcher has functions that look safe and are not, and an effect without `some(allow)`
allows whatever nothing forbids. So the statements must be these, whitespace aside.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from broker.policy.faults import Faults, quoted

STATEMENTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "request_definition": {
            "r": "owner, recipient, action, purpose, item_kind, standing",
            "r2": "role, act",
            "r3": "rule, partner, purpose, predicate, said",
        },
        "policy_definition": {
            "p": "owner, recipient, action, purpose, item_kind, needs, eft",
            "p2": "role, act, eft",
            "p3": "rule, partner, purpose, predicate, accepts, eft",
        },
        "policy_effect": {
            "e": "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
        },
        "matchers": {
            "m": "r.owner == p.owner && agency_reached(p.recipient, r.recipient) && same_or_any(p.action, r.action) "
            "&& purpose_reached(p.purpose, r.purpose) && same_or_any(p.item_kind, r.item_kind) "
            "&& met(p.needs, r.standing)",
            "m2": "r2.role == p2.role && r2.act == p2.act",
            "m3": "r3.rule == p3.rule && same_or_any(p3.partner, r3.partner) && purpose_reached(p3.purpose, r3.purpose) "
            "&& same_or_any(p3.predicate, r3.predicate) && accepted(p3.rule, p3.accepts, r3.said)",
        },
    }
)


def statements() -> dict[str, str]:
    """The statements by their key, as the engine takes them."""
    return {key: value for section in STATEMENTS.values() for key, value in section.items()}


def read(file: str, text: str, faults: Faults) -> dict[str, str]:
    """The statements of the file, after noting each one that is missing, strange, or other than it must be."""
    found: dict[str, str] = {}
    section = ""
    for line, statement in _joined(text):
        if statement.startswith("[") and statement.endswith("]"):
            section = statement[1:-1]
            if section not in STATEMENTS:
                faults.add(file, line, f"unknown section {quoted(section)}")
            continue
        key, equals, value = (part.strip() for part in statement.partition("="))
        expected = STATEMENTS.get(section, {}).get(key)
        if not equals or expected is None:
            faults.add(file, line, f"nothing called {quoted(key)} belongs into [{section}]")
        elif key in found:
            faults.add(file, line, f"{key!r} is defined twice")
        elif value.split() != expected.split():
            faults.add(file, line, f"{key!r} must read: {expected}")
        found[key] = " ".join(value.split())
    for key in statements():
        if key not in found:
            faults.add(file, 0, f"the definition of {key!r} is missing")
    return found


def _joined(text: str) -> list[tuple[int, str]]:
    """Statements with their first line; a backslash at the end of a line carries on. Comments are whole lines."""
    found: list[tuple[int, str]] = []
    carried: tuple[int, str] | None = None
    for number, raw in enumerate(text.split("\n"), start=1):
        content = raw.strip()
        if carried is None and (not content or content.startswith("#")):
            continue
        start, before = carried or (number, "")
        if content.endswith("\\"):
            carried = (start, before + content[:-1].strip() + " ")
        else:
            found.append((start, before + content))
            carried = None
    if carried is not None:
        found.append((carried[0], carried[1].strip()))
    return found
