"""The words of one exchange with an outside system: what came back, or why nothing usable did.

They stand here, and not beside the HTTP client, so that an adapter can name them without seeing a client.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from broker.kernel.strict_json import Json


class WireFault(StrEnum):
    """Why an exchange gave no usable reply."""

    UNREACHABLE = "unreachable"
    """No connection, or it broke before a status line came."""
    UNTRUSTED = "untrusted"
    """It shows no certificate that is in date, is for its name, and comes from an authority that is believed here."""
    TIMED_OUT = "timed_out"
    """The whole exchange took longer than allowed, whether it hung or dripped."""
    REDIRECTED = "redirected"
    """The system pointed elsewhere; hosts come from the register only."""
    TOO_LARGE = "too_large"
    TRUNCATED = "truncated"
    """The body ended before its announced end."""
    ENCODED = "encoded"
    """The body is compressed although we asked for it plain."""
    WRONG_CONTENT_TYPE = "wrong_content_type"
    NOT_STRICT_JSON = "not_strict_json"
    BAD_ADDRESS = "bad_address"
    """Our own side asked for a path that could leave the system's base URL; nothing was sent."""
    BUDGET_SPENT = "budget_spent"
    """More calls were asked for than one dispatch may make; nothing was sent."""


class Health(StrEnum):
    """What one call says of the partner's side, whatever it says of the search."""

    SOUND = "sound"
    """It answered: with a refusal or with nonsense, too."""
    FAULTY = "faulty"
    """It did not answer in the time that the register gives it, or said that its side broke."""
    UNKNOWN = "unknown"
    """We hung up before that time was over, because the search was."""


class WireFailure(Exception):
    """An exchange failed. Adapters let it pass: dispatch turns it into an outcome."""

    def __init__(self, fault: WireFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Octets:
    """A body that is not JSON, and what it is."""

    content: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True)
class WireReply:
    """A status and the strictly read body; `json` is None for an empty body, or for an error's body that is not JSON."""

    status: int
    json: Json = field(repr=False)
    octets: bytes | None = field(default=None, repr=False)
    """The body as it came, for a call that asked for another type than JSON; None if it is of any other type."""
    retry_after: float | None = None
    """Seconds after which the partner asks to be called again."""
