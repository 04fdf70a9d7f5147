"""What an item derives from, copied into it when it is made.

A derived item carries the union of its sources' markings. It holds copies, so deleting or re-labelling a source
afterwards frees nothing, and a decision never walks the ancestors: markings of the same owner, system, agreement,
case and asking component are one marking with all their caveats, so their number does not grow with depth.
"""

from collections.abc import Iterable
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, ItemId
from broker.provenance.marking import Marking


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
            # Two records cannot be named by one reference; the roots still lead to each of them.
            "source_reference": one.source_reference if one.source_reference == other.source_reference else None,
        }
    )
