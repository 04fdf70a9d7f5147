"""What an owner asks for in return: a closed set of duties, each with its own parameters. Pure.

A duty that is not one of them is refused when it is recorded. Should one be found stored all the same, it is kept as
``Unreadable`` and never met: a condition that nobody can read is not a condition that is fulfilled.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator


class _Duty(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NotifyOwner(_Duty):
    """The owner is told of each release that relies on the grant."""

    duty: Literal["notify_owner"] = "notify_owner"


class VerifyFirst(_Duty):
    """The owner has to have verified the item before it is passed on."""

    duty: Literal["verify_first"] = "verify_first"


class PurgeBy(_Duty):
    """The copy is to be destroyed at that moment, or so many days after it was made."""

    duty: Literal["purge_by"] = "purge_by"
    at: AwareDatetime | None = None
    days: int | None = Field(default=None, ge=1, le=36_500)

    @model_validator(mode="after")
    def _says_when_once(self) -> Self:
        if (self.at is None) is (self.days is None):
            raise ValueError("says either `at` or `days`")
        return self

    def moment(self, made: datetime) -> datetime:
        """When a copy made then is to be gone."""
        return self.at if self.at is not None else made + timedelta(days=self.days or 0)


class AttachCaveat(_Duty):
    """A caveat goes with every copy, and is held against the recipient like one of the item's own."""

    duty: Literal["attach_caveat"] = "attach_caveat"
    caveat: str = Field(min_length=1, max_length=100)


class Unreadable(_Duty):
    """Something stored as a duty that this version of the broker does not know."""

    duty: Literal["unreadable"] = "unreadable"


Known = Annotated[NotifyOwner | VerifyFirst | PurgeBy | AttachCaveat, Field(discriminator="duty")]
Duty = NotifyOwner | VerifyFirst | PurgeBy | AttachCaveat | Unreadable
_KNOWN: Final[TypeAdapter[Duty]] = TypeAdapter(Known)


def read(stored: Any) -> tuple[Duty, ...]:
    """The duties as they are stored; what is none of the closed set is `Unreadable`."""
    if not isinstance(stored, list):
        return (Unreadable(),)
    return tuple(_read(one) for one in stored)


def _read(stored: Any) -> Duty:
    try:
        return _KNOWN.validate_json(json.dumps(stored))
    except (ValidationError, ValueError, TypeError):
        return Unreadable()


def attached(duties: Iterable[Duty]) -> tuple[str, ...]:
    """The codes of the caveats that go with every copy."""
    return tuple(sorted({one.caveat for one in duties if isinstance(one, AttachCaveat)}))


def purge_by(duties: Iterable[Duty], made: datetime) -> datetime | None:
    """By when a copy made then has to be gone; the earliest, if several say so."""
    return min((one.moment(made) for one in duties if isinstance(one, PurgeBy)), default=None)


def unmet(duties: Iterable[Duty], now: datetime, *, verified: bool) -> Iterator[str]:
    """Why the duties of a grant stand against a release at *now*, in words for the requester."""
    for one in duties:
        match one:
            case VerifyFirst() if not verified:
                yield "verify_first: the owner has not verified this, and nothing else can stand for it"
            case PurgeBy() if one.moment(now) <= now:
                yield "purge_by: the copy would have to be gone before it is made"
            case Unreadable():
                yield "a duty of the owner's permission is not one that is known, so it cannot be met"
            case _:
                continue
