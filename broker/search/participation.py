"""May a partner that verifies be asked about this participant? Every reason against, before anything is sent.

What cannot be shown is not met: for a participant who is unknown, ended or not named, no acceptance can be shown.
"""

from typing import Final

from broker.kernel.ids import AgencyId
from broker.kernel.partner import PartnerEntry
from broker.participants.model import Participant

NOT_NAMED: Final = "participant_missing"
UNKNOWN: Final = "participant_unknown"
NOT_TAKEN: Final = "participant_not_taken"
TERMS: Final = "terms_not_accepted"


def participant_reasons(
    entry: PartnerEntry, component: AgencyId, named: str | None, participant: Participant | None
) -> tuple[str, ...]:
    """Why *entry* may not be asked. *participant* is what the component's register has under *named*, if anything.

    Somebody else's participant and none at all look the same.
    """
    if entry.participation is None:
        return (NOT_TAKEN,) if named is not None else ()
    if named is None:
        return (NOT_NAMED, TERMS)
    theirs = entry.participation.agency == component
    if participant is None or not theirs or participant.partner != entry.id or participant.ended_at is not None:
        return (UNKNOWN, TERMS)
    return () if participant.has_accepted(entry.participation.terms_version) else (TERMS,)
