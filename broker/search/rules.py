"""May this search go to this partner? The rules are the policy's; here its question is put together from what is so.

It is asked when the search is accepted, and again before a leg is sent: the day, the case, the agreement and the
policy itself may have changed in between.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import structlog

from broker.audit.events import Actor
from broker.cases.model import CaseStatus
from broker.kernel.ids import AgencyId, PartnerId
from broker.kernel.words import Predicate, Role
from broker.participants.model import Participant
from broker.policy.question import PolicyEngineFailure
from broker.policy.search_facts import agreement_state
from broker.policy.search_question import (
    AgreementState,
    CaseState,
    Enrolment,
    SearchQuestion,
    SearchRefusal,
    SearchRefusalCode,
    Training,
)
from broker.policy.search_words import detail_of
from broker.policy.snapshot import PolicySnapshot
from broker.search.model import CallerStanding, Search, SearchTerms
from broker.search.participation import participant_reasons

_DAY: Final = timedelta(days=1)
_log = structlog.get_logger(__name__)

Refusals = tuple[SearchRefusal, ...]


def refusals_at_acceptance(
    actor: Actor,
    standing: CallerStanding,
    terms: SearchTerms,
    partner: PartnerId,
    policy: PolicySnapshot,
    participant: Participant | None,
    now: datetime,
) -> Refusals:
    """Every reason why the search may not go to *partner*; none when it may. The case is open, and held."""
    role = Role.ANALYST if Role.ANALYST.value in actor.roles else Role(actor.roles[0])
    question = _question(AgencyId(actor.agency), terms, partner, policy, now).model_copy(
        update={
            "role": role,
            "training": Training.VALID if standing.training_valid else Training.LAPSED,
            "enrolled": Enrolment.YES if partner in standing.partners else Enrolment.NO,
        }
    )
    return _ask(policy, question, terms, participant)


def refusals_before_sending(
    search: Search,
    partner: PartnerId,
    case: CaseStatus | None,
    participant: Participant | None,
    policy: PolicySnapshot,
    now: datetime,
) -> Refusals:
    """The same for a leg that was in order when it was accepted: what was so of the caller on that day stays so (R1)."""
    question = _question(search.component, search.terms, partner, policy, now)
    state = CaseState.OPEN if case is CaseStatus.OPEN else CaseState.CLOSED
    return _ask(policy, question.model_copy(update={"case": state}), search.terms, participant)


def codes_of(refusals: Refusals) -> str | None:
    """Every reason's code, in the order of the rules; None when nothing speaks against it."""
    return ", ".join(refusal.code.value for refusal in refusals) or None


def _question(
    requester: AgencyId, terms: SearchTerms, partner: PartnerId, policy: PolicySnapshot, now: datetime
) -> SearchQuestion:
    entry = next((entry for entry in policy.bundle.partners if entry.id == partner), None)
    agreement = AgreementState.OUT_OF_FORCE if entry is None else agreement_state(entry.agreement, now.date())
    return SearchQuestion(
        partner=partner,
        role=Role.ANALYST,
        requester=requester,
        training=Training.VALID,
        enrolled=Enrolment.YES,
        case=CaseState.OPEN,
        predicate=terms.predicate,
        purpose=terms.purpose,
        evidentiary_basis=terms.evidentiary_basis,
        grounds_stated=bool(terms.legal_basis.strip() and terms.basis_text.strip()),
        prior_methods=any(method.strip() for method in terms.prior_methods),
        exigent=terms.exigent or terms.predicate is Predicate.EXIGENT,
        probe_kind=terms.probe.kind,
        # A day that has begun counts as one.
        probe_age_days=max(0, -((terms.probe.acquired_at - now) // _DAY)),
        lawful_acquisition_attested=terms.probe.lawful_acquisition_attested,
        first_amendment_activity=terms.probe.first_amendment_activity,
        edits=terms.probe.edits,
        max_candidates=terms.max_candidates,
        agreement=agreement,
    )


def _ask(
    policy: PolicySnapshot, question: SearchQuestion, terms: SearchTerms, participant: Participant | None
) -> Refusals:
    try:
        return (
            *policy.engine.search_refusals(question),
            *_about_participant(policy, question, terms.participant, participant),
        )
    except PolicyEngineFailure as failure:
        _log.critical("search_rules_failed", alarm=True, detail=failure.detail, exc_info=failure)
        code = SearchRefusalCode.ENGINE_FAILURE
        return (SearchRefusal(code=code, rule=None, detail=detail_of(code, question)),)


def _about_participant(
    policy: PolicySnapshot, question: SearchQuestion, named: str | None, participant: Participant | None
) -> Iterator[SearchRefusal]:
    """What the register of participants says, in the same form; an unknown partner has been refused already."""
    entry = next((entry for entry in policy.bundle.partners if entry.id == question.partner), None)
    # Who is not enrolled is refused for that, and hears nothing of whether there is such a participant.
    if entry is None or (entry.participation is not None and question.enrolled is Enrolment.NO):
        return
    for reason in participant_reasons(entry, question.requester, named, participant):
        code = SearchRefusalCode(reason)
        rule = policy.bundle.partner_rules.get(entry.id)
        yield SearchRefusal(code=code, rule=rule, detail=detail_of(code, question))
