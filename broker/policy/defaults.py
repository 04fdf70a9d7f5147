"""Reads ``defaults.yaml``: which third-party default holds for each owner, from when, and on what ground."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from broker.kernel.ids import AgencyId
from broker.kernel.tree import Tree
from broker.policy.bundle import DefaultEntry, Needs, ShareRow, ThirdPartyDefault
from broker.policy.faults import Faults, hint, quoted
from broker.policy.question import RuleRef
from broker.policy.strict_yaml import Document, entries


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    owner: str
    default: ThirdPartyDefault
    since: date = Field(alias="from")
    ground: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^\S(.*\S)?$")]


def read(
    document: Document, agencies: Tree, share_rows: Iterable[ShareRow], faults: Faults
) -> tuple[DefaultEntry, ...]:
    """Each owner's entries. An owner without one asks, like one whose first entry has not begun."""
    frees = {row.owner for row in share_rows if row.needs is Needs.UNMARKED}
    found: dict[tuple[str, date], DefaultEntry] = {}
    for line, entry in entries(document, _Entry, faults):
        key = (entry.owner, entry.since)
        free = entry.default is ThirdPartyDefault.FREE_UNLESS_MARKED
        if entry.owner not in agencies:
            faults.add(document.file, line, f"unknown owner {quoted(entry.owner)}{hint(entry.owner, agencies)}")
        elif key in found:
            day = entry.since.isoformat()
            faults.add(document.file, line, f"line {found[key].rule.line} says already what holds for it from {day} on")
        elif free and entry.owner not in frees:
            reason = f"no row of owners/{entry.owner}.csv needs 'unmarked', so this default would free nothing"
            faults.add(document.file, line, reason)
        text = f"{entry.owner}: {entry.default} from {entry.since.isoformat()}"
        found[key] = DefaultEntry(
            owner=AgencyId(entry.owner),
            default=entry.default,
            since=entry.since,
            ground=entry.ground,
            rule=RuleRef(file=document.file, line=line, text=text),
        )
    return tuple(found.values())
