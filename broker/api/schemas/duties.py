"""Duties as they are sent and shown: a closed set, told apart by `duty`."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from broker.api.schemas.words import Body, Moment, Reply, Whole, Word
from broker.grants.duties import AttachCaveat, Duty, NotifyOwner, PurgeBy, VerifyFirst


class NotifyOwnerBody(Body):
    """The owner is told of each release that relies on the grant."""

    duty: Literal["notify_owner"]

    def value(self) -> Duty:
        """The same as a value of the field."""
        return NotifyOwner()


class VerifyFirstBody(Body):
    """The owner has to have verified the item before it is passed on."""

    duty: Literal["verify_first"]

    def value(self) -> Duty:
        """The same as a value of the field."""
        return VerifyFirst()


class PurgeByBody(Body):
    """The copy is to be destroyed `at` that moment, or that many `days` after it was made; one of the two."""

    duty: Literal["purge_by"]
    at: Moment | None = None
    days: Annotated[Whole, Field(ge=1, le=36_500)] | None = None

    @model_validator(mode="after")
    def _says_when_once(self) -> Self:
        if (self.at is None) is (self.days is None):
            raise ValueError("says either at or days")
        return self

    def value(self) -> Duty:
        """The same as a value of the field."""
        return PurgeBy(at=self.at, days=self.days)


class AttachCaveatBody(Body):
    """A caveat goes with every copy, and is checked like one of the item's own."""

    duty: Literal["attach_caveat"]
    caveat: Word

    def value(self) -> Duty:
        """The same as a value of the field."""
        return AttachCaveat(caveat=self.caveat)


DutyBody = Annotated[
    NotifyOwnerBody | VerifyFirstBody | PurgeByBody | AttachCaveatBody,
    Field(discriminator="duty"),
]
DutyList = Annotated[list[DutyBody], Field(max_length=10, default_factory=list)]


class DutyReply(Reply):
    """A duty on record. `unreadable`: it is stored and not known, so nothing passes on that grant."""

    duty: Literal["notify_owner", "verify_first", "purge_by", "attach_caveat", "unreadable"]
    at: AwareDatetime | None
    days: int | None
    caveat: str | None


def duties_reply(duties: tuple[Duty, ...]) -> list[DutyReply]:
    """The outward form of duties."""
    empty = {"at": None, "days": None, "caveat": None}
    return [DutyReply.model_validate(empty | one.model_dump()) for one in duties]
