"""From a partner's answer to a marked item. Pure.

The owner, the custodian and the agreement are the register's. What the reply says of itself can only add caveats.
"""

from datetime import datetime

from broker.items.model import Content, Item
from broker.kernel.ids import ItemId, new_id
from broker.kernel.partner import PartnerEntry
from broker.kernel.words import ItemKind
from broker.partners.claims import added_caveats
from broker.partners.contract import Answered, NoHit, ReportedCandidate
from broker.provenance.lineage import Lineage
from broker.provenance.marking import mark
from broker.search.model import Leg, Search


def tag(search: Search, leg: Leg, entry: PartnerEntry, outcome: Answered | NoHit, at: datetime) -> tuple[Item, Content]:
    """The candidate list of one leg, marked. "No hit" is an empty list, and as much the owner's as a full one."""
    candidates = outcome.candidates if isinstance(outcome, Answered) else ()
    added = added_caveats(entry, outcome)
    marking = mark(
        owner=entry.owner,
        custodian=entry.custodian,
        source_system=entry.id,
        source_reference=leg.transaction_id,
        agreement=entry.agreement.number,
        caveats=(*entry.caveats, *(code for codes in added for code in codes)),
        asked_by=search.component,
        case_id=search.terms.case_id,
        at=at,
    )
    item_id = ItemId(new_id("itm"))
    item = Item(
        id=item_id,
        kind=ItemKind.CANDIDATE_LIST,
        case_id=search.terms.case_id,
        purpose=search.terms.purpose,
        author=search.requested_by,
        component=search.component,
        search_id=search.id,
        candidates=len(candidates),
        created_at=at,
        lineage=Lineage(markings=(marking,), roots=frozenset({item_id})),
    )
    return item, {"candidates": [_candidate(n, one) for n, one in enumerate(candidates, start=1)]}


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
