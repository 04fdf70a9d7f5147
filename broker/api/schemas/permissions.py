"""Bodies and replies of permission requests."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from broker.api.schemas.duties import DutyList
from broker.api.schemas.grants import EvidenceBody
from broker.api.schemas.words import Body, Flag, Line, Moment, Pointer, Reply, Storable, Text, Whole, Word
from broker.grants.model import Evidence
from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PermissionRequestId, PurposeId
from broker.kernel.words import Action, ItemKind
from broker.release.model import Recipient, ReleaseRequest
from broker.release.permission.answers import Answer
from broker.release.permission.model import Part, PartState, PermissionRequest
from broker.release.permission.requests import Question

_NOBODY_YET = "to be named with the release"


class NewPermissionRequest(Body):
    """What a refusal drafted, sent as it is or with a justification. Without `owners`, every owner is asked."""

    item: Word
    owners: Annotated[list[Word], Field(max_length=20, default_factory=list)]
    recipient: Word
    action: Action
    purpose: Word
    case_id: Word
    fields: Annotated[list[Pointer], Field(min_length=1, max_length=100)] | None = None
    justification: Annotated[Storable, Field(max_length=5000)] = ""
    expires_at: Moment | None = None

    def question(self) -> Question:
        """The same as a value of the field."""
        return Question(
            request=ReleaseRequest(
                item=ItemId(self.item),
                recipient=Recipient(agency=AgencyId(self.recipient), person=_NOBODY_YET, address=_NOBODY_YET),
                action=self.action,
                purpose=PurposeId(self.purpose),
                case_id=CaseId(self.case_id),
                fields=tuple(dict.fromkeys(self.fields)) if self.fields is not None else None,
            ),
            owners=tuple(AgencyId(one) for one in dict.fromkeys(self.owners)),
            justification=self.justification,
            expires_at=self.expires_at,
        )


class AnswerBody(Body):
    """An owner's answer. What it leaves out stays as it was asked; a grant lasts 30 days unless it says otherwise."""

    decision: PartState
    owner: Word | None = None
    """For a liaison: whose answer this is. An officer answers for the own agency."""
    note: Line | None = None
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    max_uses: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    onward: Flag = False
    max_hops: Annotated[Whole, Field(ge=1, le=5)] | None = None
    caveats: Annotated[list[Word], Field(max_length=20, default_factory=list)]
    duties: DutyList
    fields: Annotated[list[Pointer], Field(min_length=1, max_length=100)] | None = None
    evidence: EvidenceBody | None = None

    def answer(self) -> Answer:
        """The same as a value of the field."""
        return Answer(
            owner=AgencyId(self.owner) if self.owner is not None else None,
            decision=self.decision,
            note=self.note,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            max_uses=self.max_uses,
            onward=self.onward,
            caveats=tuple(self.caveats),
            fields=tuple(self.fields) if self.fields is not None else None,
            evidence=None
            if self.evidence is None
            else Evidence(reference=self.evidence.reference, sha256=self.evidence.sha256),
            max_hops=self.max_hops,
            duties=tuple(duty.value() for duty in self.duties),
        )


class InformationBody(Body):
    """What an owner has asked back for."""

    text: Annotated[Text, Field(max_length=5000)]


class UseReply(Reply):
    """A part of the item that uses this owner's information; `text` is null where others' is in it as well."""

    part: int
    sources: list[ItemId]
    text: str | None


class PartReply(Reply):
    """One owner's part of a request."""

    owner: AgencyId
    state: PartState
    uses: list[UseReply]
    note: str | None
    answered_by: str | None
    answered_at: AwareDatetime | None
    grant_id: GrantId | None
    information: list[str]


class PermissionRequestReply(Reply):
    """A request as the caller may see it: an owner sees its own part and nothing of the others'."""

    id: PermissionRequestId
    state: PartState
    item: ItemId
    kind: ItemKind
    component: AgencyId
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    recipient: AgencyId
    action: Action
    purpose: PurposeId
    case_id: CaseId
    fields: list[str] | None
    justification: str
    parts: list[PartReply]


class PermissionRequestList(Reply):
    """A page of requests."""

    items: list[PermissionRequestReply]
    next: str | None
    complete: bool


def permission_reply(request: PermissionRequest) -> PermissionRequestReply:
    """The outward form of a request."""
    return PermissionRequestReply(
        **request.model_dump(exclude={"parts", "requested_by", "fields"}),
        state=request.state,
        fields=list(request.fields) if request.fields is not None else None,
        parts=[_part_reply(part) for part in request.parts],
    )


def _part_reply(part: Part) -> PartReply:
    return PartReply(
        **part.model_dump(exclude={"uses", "information"}),
        information=list(part.information),
        uses=[UseReply(part=use.part, sources=list(use.sources), text=use.text) for use in part.uses],
    )
