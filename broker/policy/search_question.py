"""What the policy is asked about a search, and every reason that it can give against one: plain values.

A question says what is so, never what follows from it: whoever builds it compares no date with a rule.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from broker.kernel.ids import AgencyId, PartnerId, PurposeId
from broker.kernel.words import EvidentiaryBasis, Predicate, ProbeKind, Role
from broker.policy.question import RuleRef


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Training(StrEnum):
    """Whether the caller's training was valid on the day of the search (R1)."""

    VALID = "valid"
    LAPSED = "lapsed"


class Enrolment(StrEnum):
    """Whether the caller is enrolled for the partner (R1)."""

    YES = "yes"
    NO = "no"


class AgreementState(StrEnum):
    """Whether the day of the search lies within the partner's agreement (R19)."""

    IN_FORCE = "in_force"
    OUT_OF_FORCE = "out_of_force"


class CaseState(StrEnum):
    """Whether the case named is open at this moment (R2)."""

    OPEN = "open"
    CLOSED = "closed"


class SearchQuestion(_Value):
    """May this search go to this partner?"""

    partner: PartnerId
    role: Role
    requester: AgencyId
    """The component that asks."""
    training: Training
    enrolled: Enrolment
    case: CaseState
    predicate: Predicate
    purpose: PurposeId
    evidentiary_basis: EvidentiaryBasis
    grounds_stated: bool
    """Whether the statute and the basis are given in words."""
    prior_methods: bool
    """Whether at least one less intrusive means is named that was tried first (R6)."""
    exigent: bool
    probe_kind: ProbeKind
    probe_age_days: int = Field(ge=0)
    """Since the probe was acquired, in days begun."""
    lawful_acquisition_attested: bool
    first_amendment_activity: bool
    """Whether the probe shows, or was acquired from, speech, worship, assembly or press (R5)."""
    edits: tuple[str, ...]
    max_candidates: int
    agreement: AgreementState
    approved: bool | None = None
    """Whether the partner is approved for searches; None, and so for every real search: as the register says."""


class SearchRule(StrEnum):
    """What a row of ``searches.csv`` is about. Each of them has to be accepted by a row, or the search is refused."""

    REQUESTER = "requester"
    TRAINING = "training"
    ENROLMENT = "enrolment"
    CASE = "case"
    PREDICATE = "predicate"
    BASIS = "basis"
    GROUNDS = "grounds"
    CIVIL_ENFORCEMENT = "civil_enforcement"
    """Asked only where the purpose is civil enforcement and nothing else."""
    PRIOR_METHODS = "prior_methods"
    LAWFUL_ACQUISITION = "lawful_acquisition"
    PROTECTED_ACTIVITY = "protected_activity"


class SearchRefusalCode(StrEnum):
    """Why a search may not go to a partner."""

    PARTNER_UNKNOWN = "partner_unknown"
    PARTNER_NOT_APPROVED = "partner_not_approved"
    AGREEMENT_OUT_OF_FORCE = "agreement_out_of_force"
    PURPOSE_NOT_AGREED = "purpose_not_agreed"
    PROBE_KIND_NOT_AGREED = "probe_kind_not_agreed"
    PROBE_TOO_OLD = "probe_too_old"
    EDIT_NOT_AGREED = "edit_not_agreed"
    TOO_MANY_CANDIDATES = "too_many_candidates"
    ROLE_MAY_NOT_SEARCH = "role_may_not_search"
    REQUESTER_NOT_ACCEPTED = "requester_not_accepted"
    TRAINING_LAPSED = "training_lapsed"
    NOT_ENROLLED = "not_enrolled"
    CASE_NOT_OPEN = "case_not_open"
    PREDICATE_NOT_ACCEPTED = "predicate_not_accepted"
    BASIS_BELOW_FLOOR = "basis_below_floor"
    GROUNDS_NOT_STATED = "grounds_not_stated"
    CIVIL_ENFORCEMENT_ONLY = "civil_enforcement_only"
    PRIOR_METHODS_MISSING = "prior_methods_missing"
    LAWFUL_ACQUISITION_NOT_ATTESTED = "lawful_acquisition_not_attested"
    FIRST_AMENDMENT_ACTIVITY = "first_amendment_activity"
    PARTICIPANT_MISSING = "participant_missing"
    PARTICIPANT_UNKNOWN = "participant_unknown"
    PARTICIPANT_NOT_TAKEN = "participant_not_taken"
    TERMS_NOT_ACCEPTED = "terms_not_accepted"
    ENGINE_FAILURE = "engine_failure"


class SearchRefusal(_Value):
    """One reason against a search, in words, with the authored line it comes from where there is one."""

    code: SearchRefusalCode
    rule: RuleRef | None
    detail: str
