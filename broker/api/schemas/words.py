"""Types that bodies are made of: strict, bounded, printable. Nothing is coerced."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

_LONGEST_MOMENT: Final = 40


class Body(BaseModel):
    """A request body, or a part of one. A member that is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reply(BaseModel):
    """A response body: every member is always there."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("holds a character that cannot be stored")
    return text


def _exact(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("is not written exactly: it begins or ends with a space, or holds unprintable characters")
    return text


def _moment(value: Any) -> Any:
    # Numbers and numeric strings would be read as seconds since 1970.
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or "T" not in value.upper() or len(value) > _LONGEST_MOMENT:
        raise ValueError("is a moment with its zone, such as 2026-01-31T12:00:00Z (RFC 3339)")
    return value


def _storable_moment(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # Beyond year 1 or 9999 in UTC: the database would store it and the driver could never read it again.
        raise ValueError("is outside the years that can be kept") from None


Storable = Annotated[str, AfterValidator(_storable)]
"""A text that the database can keep; it may be empty."""
Word = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_storable), AfterValidator(_exact)]
"""An id or a code."""
Line = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_storable), AfterValidator(_exact)]
Text = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_storable)]
Flag = StrictBool
Whole = StrictInt
Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_storable_moment)]
Pointer = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^/"), AfterValidator(_storable)]
"""A JSON Pointer, RFC 6901."""
