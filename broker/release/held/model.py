"""A held release: refused for want of a permission, and kept until the last one arrives. Values; pure.

Nothing is promised by holding. When something has come that may cure the refusal, the whole question is decided anew.
"""

from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.decision.model import Decision, Deny
from broker.kernel.ids import AgencyId, DecisionId, HeldReleaseId, ReleaseId, Subject
from broker.kernel.words import ReasonCode
from broker.release.model import ReleaseRequest

CURABLE: Final = frozenset(
    {
        ReasonCode.PERMISSION_MISSING,
        ReasonCode.GRANT_EXHAUSTED,
        ReasonCode.GRANT_EXPIRED,
        ReasonCode.GRANT_REVOKED,
        ReasonCode.GRANT_SUPERSEDED,
        ReasonCode.GRANT_ENTERED_IN_ERROR,
        ReasonCode.NOT_REVIEWED,
    }
)
"""Reasons that go away when somebody permits, or reviews. Everything else is refused at once."""


class HeldState(StrEnum):
    """Where a held release stands."""

    HELD = "held"
    RELEASED = "released"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class HeldRelease(BaseModel):
    """A release that waits, or waited."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: HeldReleaseId
    component: AgencyId
    requested_by: Subject
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    request: ReleaseRequest
    state: HeldState
    decision_id: DecisionId
    """The newest decision about it."""
    refusal: Deny
    """What that decision said against it; when released, what the one before said."""
    release_id: ReleaseId | None
    ended_at: AwareDatetime | None
    ending: str | None
    """Why it ended otherwise than by being released."""


def curable(outcome: Decision) -> bool:
    """Whether a permission or a review is all that a refusal lacks."""
    return isinstance(outcome, Deny) and all(reason.code in CURABLE for reason in outcome.reasons)


def transient(outcome: Decision) -> bool:
    """Whether the machine could not decide; the next look may."""
    return isinstance(outcome, Deny) and any(reason.code is ReasonCode.ENGINE_FAILURE for reason in outcome.reasons)
