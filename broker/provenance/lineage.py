"""What an item derives from, copied into it when it is made.

A derived item carries the union of its sources' markings. It holds copies, so deleting or re-labelling a source
afterwards frees nothing, and a decision never walks the ancestors: markings of the same owner, system, agreement,
case and asking component are one marking with all their caveats and places, so their number does not grow with depth.

A marking may be about some places of the content only. What is asked for then concerns the owners of those places,
and what is made of a place has them, while any doubt about a place concerns all owners.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, ItemId
from broker.provenance.marking import Marking
from broker.provenance.selection import outermost, reaches, unite


class Lineage(BaseModel):
    """All markings of an item, the root items they came from, and the earliest expiry among them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    markings: tuple[Marking, ...]
    roots: frozenset[ItemId]
    expires_at: AwareDatetime | None = None

    @property
    def owners(self) -> frozenset[AgencyId]:
        """Every agency whose permission counts."""
        return frozenset(marking.owner for marking in self.markings)

    def parts_of(self, owner: AgencyId) -> tuple[Marking, ...]:
        """The markings of one owner."""
        return tuple(marking for marking in self.markings if marking.owner == owner)

    def concerning(self, fields: Collection[str] | None) -> "Lineage":
        """What of it is about any of *fields*: whose they are. Without fields, everything.

        A field that no marking is about is nobody's to give away, so it concerns all owners.
        """
        if not fields:
            return self
        reached = [self._about(field) for field in fields]
        if not all(reached):
            return self
        wanted = frozenset[int]().union(*reached)
        return self.model_copy(update={"markings": tuple(m for n, m in enumerate(self.markings) if n in wanted)})

    def _about(self, field: str) -> frozenset[int]:
        return frozenset(n for n, marking in enumerate(self.markings) if reaches(marking.selectors, field))


def combine(sources: Iterable[Lineage]) -> Lineage:
    """The lineage of something made from *sources*: every owner, every caveat, every root, the earliest expiry.

    Order and repetition of the sources do not matter. Of no sources at all it is the empty lineage, which the
    gate refuses: whoever writes something new marks it as their own first.
    """
    merged: dict[tuple[str | None, ...], Marking] = {}
    roots: set[ItemId] = set()
    expiries: set[datetime] = set()
    for source in sources:
        roots |= source.roots
        if source.expires_at is not None:
            expiries.add(source.expires_at)
        for marking in source.markings:
            key = _identity(marking)
            held = merged.get(key)
            merged[key] = marking if held is None else _unite(held, marking)
    ordered = tuple(merged[key] for key in sorted(merged, key=lambda key: tuple(part or "" for part in key)))
    return Lineage(markings=ordered, roots=frozenset(roots), expires_at=min(expiries, default=None))


def taken_into(source: Lineage, uses: Iterable[tuple[str | None, str]], beside: Collection[str]) -> Lineage:
    """*source* as it goes into something written from it in parts.

    *uses* says which part is written from which place of the source, None being the whole of it. A part has the markings
    of what it uses; what stands *beside* the parts, a title say, may tell of all of them and has every marking that
    goes in.
    """
    taken: dict[Marking, set[str]] = defaultdict(set)
    for selector, part in uses:
        for marking in source.concerning(None if selector is None else (selector,)).markings:
            taken[marking].add(part)
    markings = (one.model_copy(update={"selectors": outermost((*parts, *beside))}) for one, parts in taken.items())
    return source.model_copy(update={"markings": tuple(markings)})


def written(taken: Iterable[Lineage], parts: Collection[str]) -> Lineage:
    """The lineage of something written in these *parts* from what was taken into them.

    Where everybody has a share in every part there is nothing to tell apart, and each marking is about the whole.
    """
    made = combine(taken)
    if not all(set(parts) <= set(marking.selectors or ()) for marking in made.markings):
        return made
    return made.model_copy(
        update={"markings": tuple(one.model_copy(update={"selectors": None}) for one in made.markings)}
    )


def _identity(marking: Marking) -> tuple[str | None, ...]:
    return (
        marking.owner,
        marking.custodian,
        marking.source_system,
        marking.agreement,
        marking.asked_by,
        marking.case_id,
    )


def _unite(one: Marking, other: Marking) -> Marking:
    return one.model_copy(
        update={
            "caveats": tuple(sorted({*one.caveats, *other.caveats})),
            "at": min(one.at, other.at),
            "selectors": unite(one.selectors, other.selectors),
            # Two records cannot be named by one reference; the roots still lead to each of them.
            "source_reference": one.source_reference if one.source_reference == other.source_reference else None,
        }
    )
