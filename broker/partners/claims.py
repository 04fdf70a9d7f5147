"""What a partner claims about its records, held against the register. Pure."""

from broker.kernel.ids import AgencyId
from broker.kernel.partner import PartnerEntry
from broker.partners.contract import Answered, Outcome


def foreign_owner(entry: PartnerEntry, outcome: Outcome) -> str | None:
    """The first owner claimed that is not exactly the registered one: the whole leg is then quarantined.

    No claim at all is no fault: the owner comes from the register either way. The comparison neither folds case nor
    trims, as ``"DOS "`` is either a mistake or a forgery.
    """
    if not isinstance(outcome, Answered):
        return None
    for candidate in outcome.candidates:
        claimed = candidate.handling.owner if candidate.handling is not None else None
        if claimed is not None and AgencyId(claimed) != entry.owner:
            return claimed
    return None


def added_caveats(entry: PartnerEntry, outcome: Outcome) -> tuple[tuple[str, ...], ...]:
    """Per candidate, in the answer's order: the partner's own caveats beyond those the register already puts on.

    They can only add. A code that the policy files do not know is kept: a caveat that nobody here can check is one
    that is never met.
    """
    if not isinstance(outcome, Answered):
        return ()
    return tuple(
        tuple(code for code in dict.fromkeys(candidate.handling.caveats) if code not in entry.caveats)
        if candidate.handling is not None
        else ()
        for candidate in outcome.candidates
    )
