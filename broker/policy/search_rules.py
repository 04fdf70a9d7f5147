"""Whether a search may go to a partner: the rules of the register (R1, R4, R5, R19), every reason collected.

Floors that owners author themselves are to become rows of their own; the question already carries what they need.
"""

from datetime import date

from broker.kernel.partner import Agreement, PartnerEntry
from broker.policy.question import (
    AgreementState,
    Enrolment,
    RuleRef,
    SearchQuestion,
    SearchRefusal,
    SearchRefusalCode,
    Training,
    Verdict,
)


def agreement_state(agreement: Agreement, on: date) -> AgreementState:
    """Whether the agreement is in force on that day; both of its own days count."""
    within = agreement.valid_from <= on <= agreement.valid_until
    return AgreementState.IN_FORCE if within else AgreementState.OUT_OF_FORCE


def refusals(
    question: SearchQuestion, entry: PartnerEntry | None, line: RuleRef | None, may_search: Verdict
) -> tuple[SearchRefusal, ...]:
    """Every reason against; *may_search* is what the role's rows say. A partner without an entry is unknown."""
    about_caller = (
        (SearchRefusalCode.ROLE_MAY_NOT_SEARCH, bool(may_search)),
        (SearchRefusalCode.TRAINING_LAPSED, question.training is Training.VALID),
        (SearchRefusalCode.NOT_ENROLLED, question.enrolled is Enrolment.YES),
    )
    found = [SearchRefusal(code=code, rule=None) for code, met in about_caller if not met]
    if entry is None:
        return (SearchRefusal(code=SearchRefusalCode.PARTNER_UNKNOWN, rule=None), *found)
    about_partner = (
        (SearchRefusalCode.PARTNER_NOT_APPROVED, entry.approved),
        (SearchRefusalCode.AGREEMENT_OUT_OF_FORCE, question.agreement is AgreementState.IN_FORCE),
        # Exactly the purposes agreed: what lies below one is not meant, and civil enforcement only where it is named.
        (SearchRefusalCode.PURPOSE_NOT_AGREED, question.purpose in entry.agreement.purposes),
        (SearchRefusalCode.PROBE_KIND_NOT_AGREED, question.probe_kind.value in entry.probe_kinds),
    )
    return (*(SearchRefusal(code=code, rule=line) for code, met in about_partner if not met), *found)
