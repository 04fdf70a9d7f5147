"""Bodies and replies of searches."""

from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, Field

from broker.api.schemas.words import Body, Flag, Line, Moment, Reply, Text, Whole, Word
from broker.kernel.ids import CaseId, ItemId, ParticipantId, PartnerId, PurposeId, SearchId
from broker.kernel.words import EvidentiaryBasis, LegState, Predicate, ProbeKind, SearchStatus
from broker.partners.circuit import CircuitState
from broker.policy.search_question import SearchRefusalCode
from broker.search.model import Leg, ProbeTerms, Search, SearchTerms


class ProbeBody(Body):
    """What is said of the probe."""

    kind: ProbeKind
    acquisition: Line
    """How it was acquired."""
    acquired_at: Moment
    lawful_acquisition_attested: Flag
    edits: Annotated[list[Line], Field(max_length=50, default_factory=list)]
    first_amendment_activity: Flag = False
    """Whether it shows, or was acquired from, speech, worship, assembly or press (R5)."""


class SearchBody(Body):
    """The part `request` of a search."""

    case_id: Word
    predicate: Predicate
    purpose: Word
    legal_basis: Line
    evidentiary_basis: EvidentiaryBasis
    basis_text: Text
    prior_methods: Annotated[list[Line], Field(max_length=50, default_factory=list)]
    """Less intrusive means that were tried first (R6)."""
    exigent: Flag = False
    probe: ProbeBody
    partners: Annotated[list[Word], Field(min_length=1, max_length=20)]
    participant: Word | None = None
    """Only for partners that verify: whom the probe is to be compared with, by the id in `/v1/participants`."""
    max_candidates: Annotated[Whole, Field(ge=2, le=50)] = 20
    deadline_seconds: Annotated[float, Field(strict=True, ge=1, le=86_400, allow_inf_nan=False)] = 30.0

    def terms(self) -> SearchTerms:
        """The same as a value of the field."""
        return SearchTerms(
            case_id=CaseId(self.case_id),
            predicate=self.predicate,
            purpose=PurposeId(self.purpose),
            legal_basis=self.legal_basis,
            evidentiary_basis=self.evidentiary_basis,
            basis_text=self.basis_text,
            prior_methods=tuple(self.prior_methods),
            exigent=self.exigent,
            probe=ProbeTerms(
                kind=self.probe.kind,
                acquisition=self.probe.acquisition,
                acquired_at=self.probe.acquired_at,
                lawful_acquisition_attested=self.probe.lawful_acquisition_attested,
                edits=tuple(self.probe.edits),
                first_amendment_activity=self.probe.first_amendment_activity,
            ),
            partners=tuple(PartnerId(one) for one in self.partners),
            participant=None if self.participant is None else ParticipantId(self.participant),
            max_candidates=self.max_candidates,
            deadline_seconds=self.deadline_seconds,
        )


class RuleRefusalReply(Reply):
    """One reason for which the rules refused a leg, and the authored line it comes from where there is one."""

    code: SearchRefusalCode
    rule: str | None
    detail: str


class LegReply(Reply):
    """One partner's part. `item` is the candidate list, also for a "no hit"; `refusals` are the reasons of the rules."""

    partner: PartnerId
    state: LegState
    reason: str | None
    refusals: list[RuleRefusalReply]
    item: ItemId | None


class SearchReply(Reply):
    """A search as it stands."""

    id: SearchId
    status: SearchStatus
    case_id: CaseId
    purpose: PurposeId
    requested_at: AwareDatetime
    deadline_at: AwareDatetime
    legs: list[LegReply]
    missing: list[PartnerId]
    """Partners from which there is no answer, or none yet. Not empty: what there is, is only a part."""


class SearchList(Reply):
    """A page of searches."""

    items: list[SearchReply]
    next: str | None
    complete: bool


class LineReply(Reply):
    """Whether a partner has been answering, as the broker sees it, for whoever runs the service."""

    circuit: CircuitState
    failures: int
    """Calls in a row that were not answered, while the circuit is closed."""
    next_trial_at: AwareDatetime | None
    """Open: when the next call may try it."""


class PartnerReply(Reply):
    """A partner and the agreement under which it is searched. Both dates are inclusive."""

    id: PartnerId
    title: str
    owner: str
    custodian: str
    approved: bool
    agreement: str
    valid_from: date
    valid_until: date
    purposes: list[str]
    probe_kinds: list[str]
    line: LineReply | None
    """For those who may know of the service's state; null for others, and for a partner that was never called."""
    terms_version: str | None
    """The terms of use in force, for a partner that verifies participants."""


class PartnerList(Reply):
    """All partners of the register."""

    items: list[PartnerReply]
    next: str | None
    complete: bool


def search_reply(search: Search) -> SearchReply:
    """The outward form of a search."""
    return SearchReply(
        id=search.id,
        status=search.status,
        case_id=search.terms.case_id,
        purpose=search.terms.purpose,
        requested_at=search.requested_at,
        deadline_at=search.deadline_at,
        legs=[_leg_reply(leg) for leg in search.legs],
        missing=[leg.partner for leg in search.legs if leg.state not in (LegState.ANSWERED, LegState.NO_HIT)],
    )


def _leg_reply(leg: Leg) -> LegReply:
    return LegReply(
        partner=leg.partner,
        state=leg.state,
        reason=leg.reason,
        refusals=[
            RuleRefusalReply(code=one.code, rule=str(one.rule) if one.rule else None, detail=one.detail)
            for one in leg.refusals
        ],
        item=leg.item_id,
    )
