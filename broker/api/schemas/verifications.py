"""Bodies and replies of owners' verifications."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from broker.api.schemas.words import Body, Reply, Text, Word
from broker.kernel.ids import AgencyId, ItemId, VerificationId, VerificationRequestId
from broker.products.verification_model import Confirmation, Verification, VerificationRequest


class NewVerificationRequest(Body):
    """What the owners are asked. The note is shown to each owner asked, so it holds nothing of another's."""

    note: Annotated[Text, Field(max_length=5000)]
    owners: Annotated[list[Word], Field(max_length=50, default_factory=list)]


class NewVerification(Body):
    """An owner's word on its part in an item."""

    outcome: Confirmation
    note: Annotated[Text, Field(max_length=5000)] | None = None


class VerificationRequestReply(Reply):
    """Owners asked about an item; those of them who have `answered` since."""

    id: VerificationRequestId
    item: ItemId
    component: AgencyId
    at: AwareDatetime
    owners: list[AgencyId]
    note: str
    answered: list[AgencyId]


class VerificationRequestList(Reply):
    """A page of requests."""

    items: list[VerificationRequestReply]
    next: str | None
    complete: bool


class VerificationReply(Reply):
    """What an owner said of an item, and of nothing made of it."""

    id: VerificationId
    item: ItemId
    owner: AgencyId
    outcome: Confirmation
    note: str | None
    at: AwareDatetime


class VerificationList(Reply):
    """Everything that owners have said of an item, in the order of time; of each owner the last word counts."""

    items: list[VerificationReply]
    next: None
    complete: bool


def request_reply(request: VerificationRequest) -> VerificationRequestReply:
    """The outward form of a request."""
    return VerificationRequestReply.model_validate(request.model_dump(mode="json", exclude={"requested_by"}))


def verification_reply(verification: Verification) -> VerificationReply:
    """The outward form of an owner's word."""
    return VerificationReply.model_validate(verification.model_dump(exclude={"answered_by"}))
