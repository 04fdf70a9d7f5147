"""A search, its legs and its probe: values."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from broker.kernel.ids import (
    AgencyId,
    CaseId,
    ItemId,
    ParticipantId,
    PartnerId,
    PurposeId,
    SearchId,
    Subject,
    TransactionId,
)
from broker.kernel.words import EvidentiaryBasis, LegState, Predicate, ProbeKind, SearchStatus
from broker.policy.search_question import SearchRefusal


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ProbeTerms(_Value):
    """What the requester says of the probe (R5)."""

    kind: ProbeKind
    acquisition: str = Field(min_length=1, max_length=500)
    acquired_at: AwareDatetime
    lawful_acquisition_attested: bool
    edits: tuple[str, ...]
    first_amendment_activity: bool = False
    """Whether it shows, or was acquired from, speech, worship, assembly or press; never said of searches of before."""


class SearchTerms(_Value):
    """What the requester asks, and on what ground."""

    case_id: CaseId
    predicate: Predicate
    purpose: PurposeId
    legal_basis: str
    evidentiary_basis: EvidentiaryBasis
    basis_text: str
    prior_methods: tuple[str, ...]
    exigent: bool
    probe: ProbeTerms
    partners: tuple[PartnerId, ...]
    participant: ParticipantId | None = None
    """For partners that verify: whom the probe is to be compared with."""
    participant_reference: str | None = None
    """The same as the partner names the record; filled in from the register, never from a request."""
    max_candidates: int
    deadline_seconds: float


class Leg(_Value):
    """One partner's part of one search."""

    transaction_id: TransactionId
    partner: PartnerId
    state: LegState
    reason: str | None
    refusals: tuple[SearchRefusal, ...] = ()
    """Every reason for which the rules refused it, each with its rule; none for a leg that they let pass."""
    item_id: ItemId | None
    task_id: str | None
    calls: int
    """Calls that asked the partner to search; all but the first are retries of the same search."""
    polls: int
    """How often it was asked what became of the search."""
    deadline_at: AwareDatetime
    gallery: str | None = None
    """What its first call asked, and where the answer was to be sent: every other call names the same."""
    callback_url: str | None = None


class Search(_Value):
    """An accepted search as it stands."""

    id: SearchId
    component: AgencyId
    requested_by: Subject
    requested_at: AwareDatetime
    deadline_at: AwareDatetime
    terms: SearchTerms
    legs: tuple[Leg, ...]
    traceparent: str | None = None
    """The trace that it belongs to, so that its legs are seen in it; never shown to callers."""

    @property
    def cancelled(self) -> bool:
        """Whether its requester has cancelled what was open of it."""
        return any(leg.state is LegState.CANCELLED for leg in self.legs)

    @property
    def status(self) -> SearchStatus:
        """Follows from the legs: nothing else knows how far a search is."""
        states = [leg.state for leg in self.legs]
        if all(state is LegState.QUEUED for state in states):
            return SearchStatus.ACCEPTED
        if not all(state.final for state in states):
            return SearchStatus.RUNNING
        answered = all(state in (LegState.ANSWERED, LegState.NO_HIT) for state in states)
        return SearchStatus.COMPLETE if answered else SearchStatus.INCOMPLETE


class CallerStanding(_Value):
    """What the token says of the caller that the rules of searching look at (R1)."""

    training_valid: bool
    partners: frozenset[str]
