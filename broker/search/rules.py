"""May this search go to this partner? The rules are the policy's; here its question is put together."""

from datetime import datetime

from broker.audit.events import Actor
from broker.kernel.ids import PartnerId
from broker.kernel.words import Role
from broker.policy.question import Enrolment, SearchQuestion, Training
from broker.policy.search_rules import agreement_state
from broker.policy.snapshot import PolicySnapshot
from broker.search.model import CallerStanding, SearchTerms

_NOT_ATTESTED = "lawful_acquisition_not_attested"


def refusal(
    actor: Actor,
    standing: CallerStanding,
    terms: SearchTerms,
    partner: PartnerId,
    policy: PolicySnapshot,
    now: datetime,
) -> str | None:
    """Why the search may not go to *partner*: every reason's code, the first of them first; None when it may."""
    entry = next(entry for entry in policy.bundle.partners if entry.id == partner)
    question = SearchQuestion(
        partner=partner,
        role=Role.ANALYST if Role.ANALYST.value in actor.roles else Role(actor.roles[0]),
        purpose=terms.purpose,
        predicate=terms.predicate,
        evidentiary_basis=terms.evidentiary_basis,
        probe_kind=terms.probe.kind,
        training=Training.VALID if standing.training_valid else Training.LAPSED,
        enrolled=Enrolment.YES if partner in standing.partners else Enrolment.NO,
        agreement=agreement_state(entry.agreement, now.date()),
    )
    codes = [one.code.value for one in policy.engine.search_refusals(question)]
    if not terms.probe.lawful_acquisition_attested:
        codes.append(_NOT_ATTESTED)
    return ", ".join(codes) or None
