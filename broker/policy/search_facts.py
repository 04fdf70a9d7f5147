"""What the agreement with a partner says of a search: facts of ``partners.yaml`` (R4, R5, R7, R19), each one looked at."""

from collections.abc import Iterator
from datetime import date

from broker.kernel.partner import Agreement, PartnerEntry
from broker.policy.question import RuleRef
from broker.policy.search_question import AgreementState, SearchQuestion, SearchRefusal, SearchRefusalCode
from broker.policy.search_words import detail_of


def agreement_state(agreement: Agreement, on: date) -> AgreementState:
    """Whether the agreement is in force on that day; both of its own days count."""
    within = agreement.valid_from <= on <= agreement.valid_until
    return AgreementState.IN_FORCE if within else AgreementState.OUT_OF_FORCE


def refusals(question: SearchQuestion, entry: PartnerEntry | None, line: RuleRef | None) -> Iterator[SearchRefusal]:
    """Every reason against. A partner without an entry is unknown."""
    if entry is None:
        unknown = SearchRefusalCode.PARTNER_UNKNOWN
        yield SearchRefusal(code=unknown, rule=None, detail=detail_of(unknown, question))
        return
    facts = (
        (SearchRefusalCode.PARTNER_NOT_APPROVED, entry.approved if question.approved is None else question.approved),
        (SearchRefusalCode.AGREEMENT_OUT_OF_FORCE, question.agreement is AgreementState.IN_FORCE),
        # Exactly the purposes agreed: what lies below one is not meant, and civil enforcement only where it is named.
        (SearchRefusalCode.PURPOSE_NOT_AGREED, question.purpose in entry.agreement.purposes),
        (SearchRefusalCode.PROBE_KIND_NOT_AGREED, question.probe_kind.value in entry.probe_kinds),
        (
            SearchRefusalCode.PROBE_TOO_OLD,
            entry.probe_max_age_days is None or question.probe_age_days <= entry.probe_max_age_days,
        ),
        (
            SearchRefusalCode.EDIT_NOT_AGREED,
            entry.probe_edits is None or all(edit in entry.probe_edits for edit in question.edits),
        ),
        (SearchRefusalCode.TOO_MANY_CANDIDATES, question.max_candidates <= entry.max_candidates),
    )
    for code, met in facts:
        if not met:
            yield SearchRefusal(code=code, rule=line, detail=detail_of(code, question))
