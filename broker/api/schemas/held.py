"""Bodies and replies of held releases, of exigent ones afterwards, and of what hangs on a grant."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from broker.api.schemas.releases import MissingReply, NewRelease, ReasonReply, RecipientBody, against
from broker.api.schemas.words import Body, Moment, Reply, Text
from broker.kernel.ids import AgencyId, CaseId, DecisionId, GrantId, HeldReleaseId, ItemId, PurposeId, ReleaseId
from broker.kernel.words import Action
from broker.release.exigent.model import ExigentRelease, OwnerState
from broker.release.held.model import HeldRelease, HeldState
from broker.release.impact import Impact


class NewHeldRelease(NewRelease):
    """A release that is to be made when its last permission arrives. It is held for thirty days unless less is asked."""

    expires_at: Moment | None = None


class HeldReply(Reply):
    """A held release: what its newest decision says is missing; once released, the release."""

    id: HeldReleaseId
    status: HeldState
    item: ItemId
    recipient: RecipientBody
    action: Action
    purpose: PurposeId
    case_id: CaseId
    fields: list[str] | None
    requested_by: str
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    decision_id: DecisionId
    reasons: list[ReasonReply]
    missing: list[MissingReply]
    release: ReleaseId | None
    ended_at: AwareDatetime | None
    ending: str | None


class HeldList(Reply):
    """A page of held releases."""

    items: list[HeldReply]
    next: str | None
    complete: bool


class Ratification(Body):
    """What an owner says of an exigent release afterwards."""

    decision: Literal["ratified", "refused"]
    note: Annotated[Text, Field(max_length=5000)] | None = None

    @property
    def state(self) -> OwnerState:
        """The same as a word of the field."""
        return OwnerState(self.decision)


class ExigentPartReply(Reply):
    """One owner's part of an exigent release."""

    owner: AgencyId
    state: OwnerState
    read_at: AwareDatetime | None
    answered_by: str | None
    answered_at: AwareDatetime | None
    note: str | None


class ExigentReply(Reply):
    """An exigent release. An owner sees its own part."""

    id: ReleaseId
    item: ItemId
    component: AgencyId
    requested_by: str
    recipient: AgencyId
    person: str
    danger: str
    at: AwareDatetime
    until: AwareDatetime
    parts: list[ExigentPartReply]


class ExigentList(Reply):
    """A page of exigent releases."""

    items: list[ExigentReply]
    next: str | None
    complete: bool


class PastReply(Reply):
    """A release that relied on the grant."""

    id: ReleaseId
    at: AwareDatetime
    component: AgencyId
    recipient: AgencyId
    person: str
    address: str


class WaitingReply(Reply):
    """A held release for which the owner's permission may be gone with the grant."""

    id: HeldReleaseId
    component: AgencyId
    recipient: AgencyId
    requested_at: AwareDatetime


class ToTellReply(Reply):
    """An agency that received something by the grant."""

    agency: AgencyId
    releases: int
    last: AwareDatetime


class PastList(Reply):
    """A page of past releases."""

    items: list[PastReply]
    next: str | None
    complete: bool


class WaitingList(Reply):
    """A page of held releases."""

    items: list[WaitingReply]
    next: str | None
    complete: bool


class ImpactReply(Reply):
    """What hangs on a grant."""

    grant: GrantId
    releases: PastList
    held: WaitingList
    recipients: list[ToTellReply]


def held_reply(held: HeldRelease) -> HeldReply:
    """The outward form of a held release."""
    request = held.request
    reasons, missing = against(held.refusal)
    if held.state is HeldState.RELEASED:
        reasons, missing = [], []
    return HeldReply(
        id=held.id,
        status=held.state,
        item=request.item,
        recipient=RecipientBody.model_validate(request.recipient.model_dump()),
        action=request.action,
        purpose=request.purpose,
        case_id=request.case_id,
        fields=list(request.fields) if request.fields is not None else None,
        requested_by=held.requested_by,
        requested_at=held.requested_at,
        expires_at=held.expires_at,
        decision_id=held.decision_id,
        reasons=reasons,
        missing=missing,
        release=held.release_id,
        ended_at=held.ended_at,
        ending=held.ending,
    )


def exigent_reply(release: ExigentRelease) -> ExigentReply:
    """The outward form of an exigent release."""
    return ExigentReply.model_validate(release.model_dump())


def impact_reply(found: Impact, limit: int) -> ImpactReply:
    """The outward form, each list cut to *limit*; one more was asked for, to know whether any follow."""
    past, waiting = found.past[:limit], found.waiting[:limit]
    more_past, more_waiting = len(found.past) > limit, len(found.waiting) > limit
    return ImpactReply(
        grant=found.grant,
        releases=PastList(
            items=[PastReply.model_validate(one.model_dump()) for one in past],
            next=past[-1].id if more_past else None,
            complete=not more_past,
        ),
        held=WaitingList(
            items=[WaitingReply.model_validate(one.model_dump()) for one in waiting],
            next=waiting[-1].id if more_waiting else None,
            complete=not more_waiting,
        ),
        recipients=[ToTellReply.model_validate(one.model_dump()) for one in found.recipients],
    )
