"""What a partner claims about its records, held against the register. Pure."""

from broker.kernel.ids import AgencyId
from broker.kernel.partner import PartnerEntry
from broker.partners.contract import Answered, NoHit, Outcome, ReportedCandidate


def foreign_owner(entry: PartnerEntry, outcome: Outcome) -> str | None:
    """The first owner claimed that the register does not name for this partner: the whole leg is then quarantined.

    No claim at all is no fault: the owner comes from the register either way. The comparison neither folds case nor
    trims, as ``"DOS "`` is either a mistake or a forgery. "No hit" is an answer as a whole, so it is nobody's but the
    partner's owner's, whomever's records the partner may pass on.
    """
    if isinstance(outcome, NoHit):
        return outcome.claimed_owner if outcome.claimed_owner not in (None, entry.owner) else None
    if not isinstance(outcome, Answered):
        return None
    for candidate in outcome.candidates:
        claimed = _claimed(candidate)
        if claimed is not None and claimed not in (entry.owner, *entry.other_owners):
            return claimed
    return None


def owner_of(entry: PartnerEntry, candidate: ReportedCandidate) -> AgencyId:
    """Whose record a candidate is: another owner's where the register lets the partner say so, the partner's else."""
    claimed = _claimed(candidate)
    return claimed if claimed is not None and claimed in entry.other_owners else entry.owner


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


def _claimed(candidate: ReportedCandidate) -> AgencyId | None:
    handling = candidate.handling
    return AgencyId(handling.owner) if handling is not None and handling.owner is not None else None
