"""From a partner's answer to a marked item. Pure.

The owner, the custodian and the agreement are the register's. What the reply says of itself can only add: caveats,
and for a candidate the owner of its record, where the register names that agency for this partner.

The list as a whole is the partner's owner's: that it was asked, that there was a hit or none, how many, in which order.
Another owner has a part in its own candidates and, since one candidate's rank and score say how the others did, in
every rank and score of the list. Places are numbered so that they tell as little: the partner's own candidates come
first, so no number of theirs depends on anybody else's, and an owner has a part in every place after its first one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from broker.items.model import Content, Item
from broker.kernel.ids import AgencyId, ItemId, new_id
from broker.kernel.partner import PartnerEntry
from broker.kernel.words import ItemKind
from broker.partners.claims import added_caveats, owner_of
from broker.partners.contract import Answered, NoHit, ReportedCandidate
from broker.provenance.lineage import Lineage
from broker.provenance.marking import Marking, mark
from broker.provenance.selection import Selectors
from broker.search.model import Leg, Search

_TELLING_OF_ALL: Final = ("rank", "score")
"""Members of a candidate that say something about the other candidates, too."""


def tag(search: Search, leg: Leg, entry: PartnerEntry, outcome: Answered | NoHit, at: datetime) -> tuple[Item, Content]:
    """The candidate list of one leg, marked. "No hit" is an empty list, and as much the owner's as a full one."""
    reported = _in_order(entry, outcome.candidates) if isinstance(outcome, Answered) else ()
    item_id = ItemId(new_id("itm"))
    item = Item(
        id=item_id,
        kind=ItemKind.CANDIDATE_LIST,
        case_id=search.terms.case_id,
        purpose=search.terms.purpose,
        author=search.requested_by,
        component=search.component,
        search_id=search.id,
        candidates=len(reported),
        created_at=at,
        lineage=Lineage(markings=_markings(search, leg, entry, reported, at), roots=frozenset({item_id})),
    )
    return item, {"candidates": [_candidate(n, one) for n, one in enumerate(reported, start=1)]}


def _in_order(entry: PartnerEntry, candidates: Sequence[ReportedCandidate]) -> tuple[ReportedCandidate, ...]:
    """The partner's own candidates first, then each other owner's; within one owner's as the partner ranked them."""

    def group(candidate: ReportedCandidate) -> tuple[bool, str]:
        owner = owner_of(entry, candidate)
        return owner != entry.owner, owner

    return tuple(sorted(candidates, key=group))


def _markings(
    search: Search, leg: Leg, entry: PartnerEntry, reported: Sequence[ReportedCandidate], at: datetime
) -> tuple[Marking, ...]:
    owners = [owner_of(entry, one) for one in reported]

    def of(owner: AgencyId, selectors: Selectors) -> Marking:
        own = Answered(candidates=tuple(one for one, whose in zip(reported, owners, strict=True) if whose == owner))
        return mark(
            owner=owner,
            custodian=entry.custodian,
            source_system=entry.id,
            source_reference=leg.transaction_id,
            agreement=entry.agreement.number,
            caveats=(*entry.caveats, *(code for codes in added_caveats(entry, own) for code in codes)),
            asked_by=search.component,
            case_id=search.terms.case_id,
            at=at,
            selectors=selectors,
        )

    others = [owner for owner in dict.fromkeys(owners) if owner != entry.owner]
    return of(entry.owner, None), *(of(owner, _places(owners.index(owner), len(owners))) for owner in others)


def _places(first: int, length: int) -> tuple[str, ...]:
    """Where another owner has a part, whose first candidate stands at *first* in a list of that *length*."""
    before = [f"/candidates/{n}/{member}" for n in range(first) for member in _TELLING_OF_ALL]
    return *before, *(f"/candidates/{n}" for n in range(first, length))


def _candidate(number: int, reported: ReportedCandidate) -> Content:
    handling = reported.handling
    return {
        "id": f"c{number}",
        "reference": reported.reference,
        "rank": reported.rank,
        "score": reported.score,
        "source_reference": handling.source_reference if handling is not None else None,
        "caveats": list(handling.caveats) if handling is not None else [],
        "facts": dict(reported.facts),
    }
