"""Reads the registers: agencies, purposes, caveats and partners.

A register is the closed list of ids of one kind. Everything else in ``policies/`` may name only what stands here.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from broker.kernel.partner import PartnerEntry
from broker.kernel.this_machine import is_this_machine
from broker.kernel.tree import Tree, TreeError
from broker.kernel.words import ProbeKind
from broker.policy.bundle import AgencyTitle
from broker.policy.faults import Faults, hint, quoted
from broker.policy.matching import ANY
from broker.policy.question import RuleRef
from broker.policy.strict_yaml import Document, entries
from broker.provenance.caveats import Caveat

AGENCY_ID: Final = r"^[A-Z][A-Z0-9]{0,19}(-[A-Z0-9]{1,20}){0,4}$"
PURPOSE_ID: Final = r"^[a-z][a-z0-9]{0,30}(_[a-z0-9]{1,30}){0,7}$"
PARTNER_ID: Final = r"^[a-z][a-z0-9]{0,30}(-[a-z0-9]{1,30}){0,4}$"

_Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Notify(_Entry):
    url: HttpUrl


class _Agency(_Entry):
    id: Annotated[str, Field(pattern=AGENCY_ID)]
    parent: str | None = None
    title: _Line
    address: _Line
    notify: _Notify | None = None


class _Purpose(_Entry):
    id: Annotated[str, Field(pattern=PURPOSE_ID)]
    parent: str | None = None
    title: _Line
    civil_enforcement_only: bool = False


_Named = TypeVar("_Named", _Agency, _Purpose, PartnerEntry)


class AgencyRegister(_Entry):
    """The agencies, and how each is addressed."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    tree: Tree
    titles: Mapping[str, AgencyTitle]
    notified_at: Mapping[str, str]


class PurposeRegister(_Entry):
    """The purposes, and which of them are civil enforcement only, with everything below those."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    tree: Tree
    titles: Mapping[str, str]
    civil: frozenset[str]


class PartnerRegister(_Entry):
    """The partners, and the line where each entry starts."""

    partners: tuple[PartnerEntry, ...]
    rules: Mapping[str, RuleRef]


def agencies(document: Document, faults: Faults) -> AgencyRegister:
    """Each agency with its parent; the border that counts is the root, the department."""
    found = _once(document, entries(document, _Agency, faults), faults)
    titles = {id_: AgencyTitle(title=entry.title, address=entry.address) for id_, (_, entry) in found.items()}
    notified_at: dict[str, str] = {}
    for id_, (line, entry) in found.items():
        if entry.notify is not None:
            notified_at[id_] = str(entry.notify.url)
            for reason in _implausible_url(entry.notify.url):
                faults.add(document.file, line, f"{id_!r}: {reason}")
    return AgencyRegister(tree=_tree(document, found, faults), titles=titles, notified_at=notified_at)


def purposes(document: Document, faults: Faults) -> PurposeRegister:
    """Each purpose with its parent. The flag for civil enforcement reaches down the tree."""
    found = _once(document, entries(document, _Purpose, faults), faults)
    for id_, (line, _) in found.items():
        if id_ == ANY:
            faults.add(document.file, line, f"{ANY!r} is a word of the rules and cannot be a purpose")
    tree = _tree(document, found, faults)
    flagged = {id_ for id_, (_, entry) in found.items() if entry.civil_enforcement_only}
    civil = frozenset(id_ for id_ in tree if flagged.intersection(tree.chain(id_)))
    return PurposeRegister(tree=tree, titles={id_: entry.title for id_, (_, entry) in found.items()}, civil=civil)


def caveats(document: Document, faults: Faults) -> Mapping[str, Caveat]:
    """Each caveat's text and check."""
    found: dict[str, Caveat] = {}
    for line, caveat in entries(document, Caveat, faults):
        if caveat.code in found:
            faults.add(document.file, line, f"the caveat {caveat.code!r} stands here twice")
        found[caveat.code] = caveat
    return found


def partners(
    document: Document, agency_tree: Tree, purpose_tree: Tree, caveat_codes: Iterable[str], faults: Faults
) -> PartnerRegister:
    """Each partner, with every id that its entry names."""
    found = _once(document, entries(document, PartnerEntry, faults), faults)
    codes = set(caveat_codes)
    for line, entry in found.values():
        checks: list[tuple[str, Iterable[str], Iterable[str]]] = [
            ("agency", _agencies_of(entry), agency_tree),
            ("purpose", entry.agreement.purposes, purpose_tree),
            ("caveat", entry.caveats, codes),
            ("probe kind", entry.probe_kinds, [kind.value for kind in ProbeKind]),
        ]
        for kind, named, known in checks:
            for name in named:
                if name not in known:
                    faults.add(document.file, line, f"unknown {kind} {quoted(name)} in {entry.id!r}{hint(name, known)}")
        for reason in _implausible(entry):
            faults.add(document.file, line, f"{entry.id!r}: {reason}")
    rules = {
        id_: RuleRef(file=document.file, line=line, text=f"partner {id_}, agreement {entry.agreement.number}")
        for id_, (line, entry) in found.items()
    }
    return PartnerRegister(partners=tuple(entry for _, entry in found.values()), rules=rules)


def _agencies_of(entry: PartnerEntry) -> tuple[str, ...]:
    served = (entry.participation.agency,) if entry.participation is not None else ()
    return (entry.owner, entry.custodian, *entry.other_owners, *served)


def _implausible(entry: PartnerEntry) -> Iterable[str]:
    owners = (entry.owner, *entry.other_owners)
    if len(set(owners)) != len(owners):
        yield "an owner stands twice; other_owners names those that are not the owner, each once"
    if entry.agreement.valid_until < entry.agreement.valid_from:
        yield "the agreement ends before it begins"
    yield from _implausible_url(entry.url)


def _implausible_url(url: HttpUrl) -> Iterable[str]:
    if url.scheme == "http" and not is_this_machine(url.host or ""):
        yield "plain http is for this machine only; use https"
    if url.username or url.password or url.query or url.fragment:
        yield "the url may hold no credentials, query or fragment"


def _once(document: Document, found: list[tuple[int, _Named]], faults: Faults) -> dict[str, tuple[int, _Named]]:
    by_id: dict[str, tuple[int, _Named]] = {}
    for line, entry in found:
        if entry.id in by_id:
            faults.add(document.file, line, f"the id {entry.id!r} stands here twice")
        by_id[entry.id] = (line, entry)
    return by_id


def _tree(
    document: Document, found: Mapping[str, tuple[int, _Agency]] | Mapping[str, tuple[int, _Purpose]], faults: Faults
) -> Tree:
    parents: dict[str, str | None] = {}
    for id_, (line, entry) in found.items():
        parents[id_] = entry.parent
        if entry.parent is not None and entry.parent not in found:
            faults.add(document.file, line, f"unknown parent {quoted(entry.parent)}{hint(entry.parent, found)}")
            parents[id_] = None
    try:
        return Tree(parents)
    except TreeError as broken:
        faults.add(document.file, 0, f"the parents go in a circle: {broken}")
        return Tree(dict.fromkeys(parents))
