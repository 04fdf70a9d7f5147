"""What the policy is asked and what it answers: plain values, no Casbin, no I/O.

A question carries words, not objects, and the engine refuses every word that it does not know; so a question may
be built from anything without being checked first.
"""

from datetime import date
from enum import StrEnum
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

from broker.kernel.errors import BrokerError
from broker.kernel.ids import AgencyId, PurposeId
from broker.kernel.words import Action, ItemKind, ReasonCode, Role


class Standing(StrEnum):
    """With what the recipient comes to the owner. Standing is found out by the caller and never upgraded here."""

    ORIGINAL = "original"
    """The recipient is the component that asked the partner, and wants to view what it asked for."""
    PERMISSION = "permission"
    """A grant of this owner, on record and in force, covers exactly this question."""
    FREED = "freed"
    """The owner's default is free unless marked, the item is young enough for it and carries no restricting caveat."""
    NONE = "none"


class Act(StrEnum):
    """What a role may be allowed to do at all (``access.csv``). Whose things it may do it with is asked elsewhere."""

    CASE_OPEN = "case_open"
    CASE_CLOSE = "case_close"
    CASE_READ = "case_read"
    SEARCH_SUBMIT = "search_submit"
    SEARCH_READ = "search_read"
    SEARCH_CANCEL = "search_cancel"
    ITEM_READ = "item_read"
    ITEM_DERIVE = "item_derive"
    ITEM_REVIEW = "item_review"
    ITEM_RECALL = "item_recall"
    VERIFICATION_ASK = "verification_ask"
    VERIFICATION_ANSWER = "verification_answer"
    VERIFICATION_READ = "verification_read"
    LEAD_ACT = "lead_act"
    LEAD_CONCLUDE = "lead_conclude"
    ITEM_LIFT = "item_lift"
    NOTICE_READ = "notice_read"
    NOTICE_ACKNOWLEDGE = "notice_acknowledge"
    DECISION_ASK = "decision_ask"
    RELEASE_ASK = "release_ask"
    RELEASE_READ = "release_read"
    RELEASE_ACCEPT = "release_accept"
    RELEASE_RATIFY = "release_ratify"
    PERMISSION_ASK = "permission_ask"
    PERMISSION_READ = "permission_read"
    PERMISSION_DECIDE = "permission_decide"
    GRANT_RECORD = "grant_record"
    GRANT_CONFIRM = "grant_confirm"
    GRANT_REVOKE = "grant_revoke"
    GRANT_SUPERSEDE = "grant_supersede"
    GRANT_ENTER_IN_ERROR = "grant_enter_in_error"
    GRANT_READ = "grant_read"
    NOTIFICATION_READ = "notification_read"
    GRANT_IMPACT = "grant_impact"
    PARTNER_READ = "partner_read"
    PARTICIPANT_RECORD = "participant_record"
    PARTICIPANT_READ = "participant_read"
    POLICY_READ = "policy_read"
    AUDIT_READ = "audit_read"
    OVERSIGHT_READ = "oversight_read"
    SERVICE_READ = "service_read"


GRANTING: Final = frozenset(
    {
        Act.GRANT_RECORD,
        Act.GRANT_CONFIRM,
        Act.GRANT_REVOKE,
        Act.GRANT_SUPERSEDE,
        Act.GRANT_ENTER_IN_ERROR,
        Act.ITEM_LIFT,
        Act.ITEM_RECALL,
        Act.PERMISSION_DECIDE,
        Act.RELEASE_RATIFY,
        Act.VERIFICATION_ANSWER,
    }
)
"""Acts by which somebody speaks for an owner. An administrator never does, whatever other roles the token names."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ShareQuestion(_Value):
    """May *recipient* do *action* with an item of *owner*, for *purpose*, with this standing?"""

    owner: AgencyId
    recipient: AgencyId
    action: Action
    purpose: PurposeId
    item_kind: ItemKind
    standing: Standing


class RoleQuestion(_Value):
    """May somebody with this role do this at all?"""

    role: Role
    act: Act


class RuleRef(_Value):
    """The authored line that decided: its file below ``policies/``, its line (from 1), and its text."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Allowed(_Value):
    """Yes, because of this row."""

    rule: RuleRef

    def __bool__(self) -> Literal[True]:
        return True


class Refused(_Value):
    """No. The rule is the deny row; None when no row allows it, which is a refusal as good as any."""

    rule: RuleRef | None

    def __bool__(self) -> Literal[False]:
        return False


Verdict = Allowed | Refused


class FreeDefault(_Value):
    """That an owner's default is free unless marked, since that day (UTC, inclusive), and the entry that says so."""

    owner: AgencyId
    since: date
    rule: RuleRef


class Shortfall(_Value):
    """Why a question was refused: for want of the owner's permission, or whatever the owner may record."""

    code: Literal[ReasonCode.PERMISSION_MISSING, ReasonCode.POLICY_FORBIDS]
    rule: RuleRef | None
    """The row that permission would satisfy; or the deny row; or None where no row allows it."""


class PolicyEngineFailure(BrokerError):
    """The engine could not answer. Whoever asked treats it as a Deny and raises an alarm; it is never an allow."""

    slug: ClassVar[str] = "policy-engine-failure"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "The policy could not be asked"
