"""A leg that a worker looks after now: what it belongs to, what is asked for it, and the time it has."""

import asyncio
from dataclasses import dataclass
from datetime import UTC

from broker.kernel.partner import PartnerEntry
from broker.partners.circuit import Admission
from broker.partners.contract import OrderTerms
from broker.search.model import Leg, Search


@dataclass(frozen=True, slots=True)
class Errand:
    """One dispatch of one leg."""

    search: Search
    leg: Leg
    entry: PartnerEntry
    admission: Admission
    ends: float
    """When the leg's deadline comes, in the event loop's time. By the calendar only the database's clock counts."""

    @property
    def seconds_left(self) -> float:
        """Until the deadline."""
        return self.ends - asyncio.get_running_loop().time()

    @property
    def trial(self) -> bool:
        """Whether its call is the one that tries a circuit."""
        return self.admission is Admission.TRIAL

    @property
    def attempts(self) -> int:
        """Calls that are left of those that the register allows for one search; a trial is one."""
        return 1 if self.trial else max(1, self.entry.limits.attempts - self.leg.calls)

    @property
    def repeats_unasked(self) -> bool:
        """Whether its first call repeats one that a worker made that has ended; what was let return has a reason."""
        return self.leg.calls > 0 and self.leg.reason is None


def terms_of(search: Search, leg: Leg, entry: PartnerEntry) -> OrderTerms:
    """What is asked of the partner: the same for every call of a leg, and for whatever the partner sends by itself."""
    return OrderTerms(
        transaction_id=leg.transaction_id,
        gallery=leg.gallery or entry.gallery,
        max_candidates=search.terms.max_candidates,
        purpose=search.terms.purpose,
        asked_on=search.requested_at.astimezone(UTC).date(),
        participant=search.terms.participant_reference if entry.participation is not None else None,
    )
