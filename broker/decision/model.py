"""What the gate is asked, what is so when it is asked, and what it answers: values."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.grants.coverage import Lack, Trees
from broker.grants.model import Grant
from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PurposeId
from broker.kernel.words import Action, ItemKind, ReasonCode
from broker.policy.question import RuleRef
from broker.provenance.caveats import Caveat
from broker.provenance.lineage import Lineage


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Exigency(_Value):
    """That a release is asked for in imminent danger; for a copy that was made, until when it serves, and who has spoken."""

    until: AwareDatetime | None
    """None while the release is being made."""
    ratified: tuple[AgencyId, ...]
    refused: tuple[AgencyId, ...]
    lapsed: tuple[AgencyId, ...] = ()
    """While it is being made: owners who let the day of an earlier one pass without a word."""
    told: tuple[AgencyId, ...] = ()
    """Of a copy that was made, the owners for whose permission danger stood, and who were told so."""


class Question(_Value):
    """Who wants to do what with which item. `asker` is the component that would pass it on, or that looks."""

    item: ItemId
    kind: ItemKind
    asker: AgencyId
    recipient: AgencyId
    action: Action
    purpose: PurposeId | None
    case_id: CaseId | None
    fields: tuple[str, ...] | None
    hops: int = 1
    """How many releases the item will have gone through with this one; 1 where the component that asked releases."""
    copy_until: AwareDatetime | None = None
    """Of a copy that was made before: when it has to be gone."""
    exigent: Exigency | None = None
    """Set where it is asked for without waiting for a permission (R13)."""
    resolved: bool = False
    """Whether each field is known to lead to something in this content. Otherwise nobody can say whom it concerns, and
    everybody is asked."""

    def places(self) -> tuple[str, ...] | None:
        """The fields by which to tell whom the question concerns; None when it concerns all owners."""
        return self.fields if self.resolved else None


class Nearest(_Value):
    """The grant on record that comes nearest to a permission that is missing, and what it lacks."""

    grant: GrantId
    lacks: tuple[Lack, ...]


class Reason(_Value):
    """One reason against. `owner` is None where the reason is not one owner's."""

    code: ReasonCode
    owner: AgencyId | None
    rule: RuleRef | None
    detail: str
    nearest: Nearest | None = None
    """For a missing permission; for the eyes of those alone who may look at the item."""


class Missing(_Value):
    """A permission that would have to be on record, and whose it is to give."""

    owner: AgencyId
    action: Action
    recipient: AgencyId
    purpose: PurposeId
    nearest: Nearest | None = None


class Permit(_Value):
    """It may pass. `grants` are those relied on, `caveats` the codes that go with every copy."""

    grants: tuple[GrantId, ...]
    rules: tuple[RuleRef, ...]
    caveats: tuple[str, ...]
    purge_by: AwareDatetime | None = None
    """By when a copy made now has to be gone: the earliest that a grant relied on says."""
    exigent_owners: tuple[AgencyId, ...] = ()
    """Owners whose permission was missing and whom imminent danger has stood for; each is told, and answers."""

    def __bool__(self) -> Literal[True]:
        return True


class Deny(_Value):
    """It may not pass, and all that stands against it."""

    reasons: tuple[Reason, ...]
    missing: tuple[Missing, ...]

    def __bool__(self) -> Literal[False]:
        return False


Decision = Permit | Deny


class Facts:
    """What is so at the moment of the decision: read under lock, and nothing of it is the asker's word."""

    def __init__(  # noqa: PLR0913 - each is a separate fact, and none has a safe default
        self,
        *,
        lineage: Lineage,
        grants: tuple[Grant, ...],
        past_grants: tuple[Grant, ...],
        near_grants: tuple[Grant, ...] | None,
        already_counted: frozenset[GrantId],
        unreviewed: tuple[ItemId, ...],
        disputed: tuple[ItemId, ...],
        verified: frozenset[AgencyId],
        unconfirmed: frozenset[AgencyId],
        notices: tuple[tuple[AgencyId, str], ...],
        placed_since: Mapping[AgencyId, datetime | None],
        trees: Trees,
        caveats: Mapping[str, Caveat],
        now: datetime,
    ) -> None:
        self.lineage = lineage
        self.grants = grants
        self.past_grants = past_grants
        """Some that no longer can be relied on, to explain a refusal."""
        self.near_grants = near_grants
        """Some that are about the same, to say what the nearest of them lacks; None where nobody may be told."""
        self.already_counted = already_counted
        self.unreviewed = unreviewed
        """Lists behind the item that two people have not been through."""
        self.disputed = disputed
        """Lists behind it on which the two disagree, and no third has spoken."""
        self.verified = verified
        """Owners whose last word on exactly this item is that it is right."""
        self.unconfirmed = unconfirmed
        """Owners who could not confirm this, or something that it is made of, and have not done so since."""
        self.notices = notices
        self.placed_since = placed_since
        """Since when recipient and owners stand where they stand in the tree of agencies; None for ever. Who is not in
        it may have come a moment ago."""
        self.trees = trees
        self.caveats = caveats
        self.now = now

    def settled(self, agency: AgencyId, since: Iterable[datetime]) -> bool:
        """Whether the agency stood where it stands at all of these moments."""
        if agency not in self.placed_since:
            return False
        placed = self.placed_since[agency]
        return placed is None or all(placed <= at for at in since)


def forbidden(detail: str) -> Deny:
    """A Deny by a rule that is nobody's row: it says itself what it is."""
    reason = Reason(code=ReasonCode.POLICY_FORBIDS, owner=None, rule=None, detail=detail)
    return Deny(reasons=(reason,), missing=())


def broken(detail: str) -> Deny:
    """A Deny because the machine failed, not because of a rule."""
    reason = Reason(code=ReasonCode.ENGINE_FAILURE, owner=None, rule=None, detail=detail)
    return Deny(reasons=(reason,), missing=())
