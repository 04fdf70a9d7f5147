"""Bodies and replies of decisions and releases."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field

from broker.api.schemas.words import Body, Flag, Line, Pointer, Reply, Text, Word
from broker.decision.model import Decision, Deny, Nearest
from broker.decision.service import Judgement
from broker.grants.coverage import Lack
from broker.kernel.errors import Invalid
from broker.kernel.ids import AgencyId, CaseId, DecisionId, DisclosureId, GrantId, ItemId, PurposeId, ReleaseId
from broker.kernel.words import Action, ReasonCode
from broker.provenance.caveats import Caveat
from broker.release.model import Recipient, Release, ReleaseRequest

_NO_MORE: Final = "what this copy was made of may not be passed on any more"


class RecipientBody(Body):
    """To whom. Name and address go into the accounting of disclosures."""

    agency: Word
    person: Annotated[Line, Field(max_length=200)]
    address: Line


class ExigentBody(Body):
    """The imminent danger: to whom, what and when, in some words."""

    danger: Annotated[Text, Field(max_length=2000)]


class NewRelease(Body):
    """Somebody asks to pass an item on."""

    item: Word
    recipient: RecipientBody
    action: Action
    purpose: Word
    case_id: Word
    fields: Annotated[list[Pointer], Field(min_length=1, max_length=100)] | None = None
    """JSON Pointers into the content; without them the whole content is asked for."""
    exigent: ExigentBody | Flag = False
    """The imminent danger for which it cannot wait for a permission; left out, or `false`, where it can."""

    def request(self) -> ReleaseRequest:
        """The same as a value of the field."""
        if self.exigent is True:
            raise Invalid("say the danger: `exigent` is an object with `danger`", "/exigent")
        return ReleaseRequest(
            item=ItemId(self.item),
            recipient=Recipient(
                agency=AgencyId(self.recipient.agency), person=self.recipient.person, address=self.recipient.address
            ),
            action=self.action,
            purpose=PurposeId(self.purpose),
            case_id=CaseId(self.case_id),
            fields=tuple(dict.fromkeys(self.fields)) if self.fields is not None else None,
            danger=self.exigent.danger if isinstance(self.exigent, ExigentBody) else None,
        )


class NearestReply(Reply):
    """The grant on record that comes nearest, and in which respects it does not cover what was asked."""

    grant: GrantId
    lacks: list[Lack]


class ReasonReply(Reply):
    """One reason against. `rule` is the policy's file and line, where a line decided; `nearest` for a permission that is
    missing, where the owner has a grant on record that is about the same.
    """

    code: ReasonCode
    owner: AgencyId | None
    rule: str | None
    detail: str
    nearest: NearestReply | None


class MissingReply(Reply):
    """A permission that would have to be on record, and whose it is to give."""

    owner: AgencyId
    action: Action
    recipient: AgencyId
    purpose: PurposeId
    nearest: NearestReply | None


class DecisionReply(Reply):
    """What would be decided now. It promises nothing."""

    decision: Literal["permit", "deny"]
    decision_id: DecisionId
    reasons: list[ReasonReply]
    missing: list[MissingReply]
    policy_digest: str
    evaluated_at: AwareDatetime


class PermissionRequestDraft(Reply):
    """What the owners would have to be asked; to be sent as it is."""

    item: ItemId
    owners: list[AgencyId]
    recipient: AgencyId
    action: Action
    purpose: PurposeId
    case_id: CaseId | None
    fields: list[str] | None
    justification: str


class RefusalReply(Reply):
    """The problem document of a refused release (403), beside `type`, `title`, `status`, `detail` and `instance`."""

    decision_id: DecisionId
    reasons: list[ReasonReply]
    missing: list[MissingReply]
    policy_digest: str
    permission_request: PermissionRequestDraft | None


class DisclosureReply(Reply):
    """The record of the disclosure."""

    id: DisclosureId
    at: AwareDatetime
    nature: str
    purpose: PurposeId
    owners: list[AgencyId]
    recipient: RecipientBody
    purge_by: AwareDatetime | None
    """By when the recipient has to have destroyed the copy."""


class CaveatReply(Reply):
    """A caveat of a copy. `text` is the register's, None where the register does not know the code any more."""

    code: str
    text: str | None


class AcceptanceReply(Reply):
    """That the recipient has accepted every caveat: who, for which agency, and when."""

    by: str
    agency: AgencyId
    at: AwareDatetime


class NewAcceptance(Body):
    """The caveats that the recipient accepts: all of the copy's, by their codes."""

    caveats: Annotated[list[Word], Field(max_length=200)]


class NotAcceptedReply(Reply):
    """The problem document of a copy that is not shown before its caveats are accepted (409), beside the standard members."""

    caveats: list[CaveatReply]
    acceptance: str
    """Where to accept them."""


class ReleaseReply(Reply):
    """A release that was made. The recipient is shown its content once `acceptance` is there, or `caveats` is empty."""

    id: ReleaseId
    decision_id: DecisionId
    item: ItemId
    action: Action
    purpose: PurposeId
    case_id: CaseId
    fields: list[str] | None
    released_at: AwareDatetime
    grants: list[GrantId]
    purge_by: AwareDatetime | None
    caveats: list[CaveatReply]
    acceptance: AcceptanceReply | None
    hop: int
    received_by: list[ReleaseId]
    danger: str | None
    """Set where it was asked for in imminent danger; where a permission was missing, see `GET /v1/exigent-releases`."""
    disclosure: DisclosureReply
    partial: bool | None
    """Whether it is less than the whole content; null for those who may not know, be it so or not."""
    left_out: list[AgencyId] | None
    """Owners in the item of whom it holds nothing; null for those who may not know."""


class ReleaseList(Reply):
    """A page of releases, without their content."""

    items: list[ReleaseReply]
    next: str | None
    complete: bool


def decision_reply(judgement: Judgement) -> DecisionReply:
    """The outward form of a dry run."""
    reasons, missing = against(judgement.outcome)
    return DecisionReply(
        decision="permit" if judgement.outcome else "deny",
        decision_id=judgement.id,
        reasons=reasons,
        missing=missing,
        policy_digest=judgement.policy_digest,
        evaluated_at=judgement.at,
    )


def refusal_members(judgement: Judgement, told: Collection[AgencyId] | None = None) -> dict[str, Any]:
    """The members that a refusal's problem document has beside the standard ones.

    With *told*, for somebody who may not look at the item: no more than that of these owners something stands against it.
    """
    reasons, missing = against(judgement.outcome)
    if told is not None:
        reasons, missing = _as_told(reasons, told), []
    question = judgement.question
    draft = None
    if missing and question.purpose is not None:
        draft = PermissionRequestDraft(
            item=question.item,
            owners=[one.owner for one in missing],
            recipient=question.recipient,
            action=question.action,
            purpose=question.purpose,
            case_id=question.case_id,
            fields=list(question.fields) if question.fields is not None else None,
            justification="",
        )
    return RefusalReply(
        decision_id=judgement.id,
        reasons=reasons,
        missing=missing,
        policy_digest=judgement.policy_digest,
        permission_request=draft,
    ).model_dump(mode="json")


def not_accepted_members(release: Release, register: Mapping[str, Caveat]) -> dict[str, Any]:
    """The members that the problem document has beside the standard ones."""
    where = f"/v1/releases/{release.id}/acceptance"
    return NotAcceptedReply(caveats=_caveats(release, register), acceptance=where).model_dump(mode="json")


def release_reply(release: Release, register: Mapping[str, Caveat]) -> ReleaseReply:
    """The outward form of a release; the texts of its caveats are the *register*'s."""
    request, disclosure = release.request, release.disclosure
    return ReleaseReply(
        id=release.id,
        decision_id=release.decision_id,
        item=request.item,
        action=request.action,
        purpose=request.purpose,
        case_id=request.case_id,
        fields=list(request.fields) if request.fields is not None else None,
        released_at=release.at,
        grants=list(release.grants),
        purge_by=disclosure.purge_by,
        caveats=_caveats(release, register),
        acceptance=None
        if release.acceptance is None
        else AcceptanceReply.model_validate(release.acceptance.model_dump()),
        hop=release.hop,
        received_by=list(release.received_by),
        danger=request.danger,
        disclosure=DisclosureReply(
            id=disclosure.id,
            at=disclosure.at,
            nature=disclosure.nature,
            purpose=disclosure.purpose,
            owners=list(disclosure.owners),
            recipient=RecipientBody.model_validate(disclosure.recipient.model_dump()),
            purge_by=disclosure.purge_by,
        ),
        partial=None if release.left_out is None else release.left_out.partial,
        left_out=None if release.left_out is None else list(release.left_out.owners),
    )


def _caveats(release: Release, register: Mapping[str, Caveat]) -> list[CaveatReply]:
    return [CaveatReply(code=code, text=register[code].text if code in register else None) for code in release.caveats]


def _as_told(reasons: list[ReasonReply], told: Collection[AgencyId]) -> list[ReasonReply]:
    """What the recipient of a copy hears when it is not handed out any more: nothing of owners it was not told of."""
    found = [
        ReasonReply(code=one.code, owner=one.owner, rule=None, detail=one.detail, nearest=None)
        if one.owner in told
        else ReasonReply(code=one.code, owner=None, rule=None, detail=_NO_MORE, nearest=None)
        for one in reasons
    ]
    return [one for n, one in enumerate(found) if one not in found[:n]]


def against(outcome: Decision) -> tuple[list[ReasonReply], list[MissingReply]]:
    """The outward form of everything that stands against."""
    if not isinstance(outcome, Deny):
        return [], []
    reasons = [
        ReasonReply(
            code=one.code,
            owner=one.owner,
            rule=str(one.rule) if one.rule is not None else None,
            detail=one.detail,
            nearest=_nearest(one.nearest),
        )
        for one in outcome.reasons
    ]
    missing = [
        MissingReply(
            owner=one.owner,
            action=one.action,
            recipient=one.recipient,
            purpose=one.purpose,
            nearest=_nearest(one.nearest),
        )
        for one in outcome.missing
    ]
    return reasons, missing


def _nearest(nearest: Nearest | None) -> NearestReply | None:
    return None if nearest is None else NearestReply(grant=nearest.grant, lacks=list(nearest.lacks))
