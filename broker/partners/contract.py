"""What an adapter is given and what it gives back. This is all of the broker that an adapter may import.

An adapter is stateless and knows no owners: it sends the order's bytes and transaction id unchanged, reads the
partner's answer into one of the outcomes below, and lets every `WireFailure` pass. It may claim nothing about who
owns a record beyond what the partner itself wrote in ``others.handling``.

Other packages should import the shared names from here as well; they are defined one layer down so that an adapter
never loads an HTTP client.
"""

import hashlib
import math
import unicodedata
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Final, Protocol, TypeAlias, runtime_checkable
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from broker.kernel.ids import PurposeId, TransactionId
from broker.kernel.strict_json import Json, NotStrictJson
from broker.kernel.strict_json import read as read_json
from broker.kernel.whereabouts import tells_where
from broker.kernel.wire import Octets, WireFailure, WireFault, WireReply
from broker.partners.callbacks import SIGNATURE_HEADER, api_key, sign

__all__ = [
    "MAX_CANDIDATES",
    "MAX_PROBE_BYTES",
    "SIGNATURE_HEADER",
    "Adapter",
    "Answered",
    "Failed",
    "FailureKind",
    "Handling",
    "Json",
    "NoHit",
    "NotStrictJson",
    "Octets",
    "OrderTerms",
    "Outcome",
    "ProbeImage",
    "RedeliveryAsked",
    "Refusal",
    "Refused",
    "ReportedCandidate",
    "SearchOrder",
    "StillPending",
    "Submitted",
    "TimedOut",
    "Wire",
    "WireFailure",
    "WireFault",
    "WireReply",
    "api_key",
    "path_segment",
    "read_json",
    "sign",
    "tells_where",
]

MAX_CANDIDATES: Final = 50
"""No order asks for more (FBI NGI-IPS: 2 to 50)."""

MAX_PROBE_BYTES: Final = 20_000_000
"""No order carries a longer JPEG; one that would be is refused before its search is accepted."""

# Characters that turn the direction of writing could make one reference look like another on a screen.
_DIRECTION: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _plain(text: str) -> str:
    for character in text:
        if character in _DIRECTION or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            raise ValueError("holds a control character")
    return text


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
"""A short text that goes on a line of its own: no control characters, no change of direction."""
Sentence = Annotated[str, Field(max_length=2000), AfterValidator(_plain)]
Score = Annotated[float, AfterValidator(_finite)]
Fact: TypeAlias = bool | int | Score | Sentence | None
Wait = Annotated[float, Field(gt=0, le=3600)]


class _Value(BaseModel):
    # Built values are checked again wherever they are nested or handed over: an adapter is not trusted to have used
    # the constructor.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, revalidate_instances="always")


class ProbeImage(_Value):
    """The photo to be searched for: a JPEG that the broker drew anew, so that it carries no metadata."""

    content: bytes = Field(min_length=1, max_length=MAX_PROBE_BYTES, repr=False)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _is_what_it_says(self) -> "ProbeImage":
        if not self.content.startswith(b"\xff\xd8\xff"):
            raise ValueError("not a JPEG")
        if hashlib.sha256(self.content).hexdigest() != self.sha256:
            raise ValueError("the hash is of other bytes")
        return self

    @classmethod
    def of(cls, content: bytes) -> "ProbeImage":
        """The image with its own hash."""
        return cls(content=content, sha256=hashlib.sha256(content).hexdigest())


class OrderTerms(_Value):
    """What is asked, without the probe: all that is needed to read an answer that comes later."""

    transaction_id: TransactionId = Field(pattern=r"^[A-Za-z0-9_-]{8,100}$")
    """Goes on the wire unchanged, in every retry too: it is how a partner knows one search from two."""
    gallery: str = Field(min_length=1, max_length=100)
    max_candidates: int = Field(ge=1, le=MAX_CANDIDATES)
    purpose: PurposeId = Field(min_length=1, max_length=100)
    asked_on: date | None = None
    """The day, in UTC, on which the search was asked for; the same in every retry. For protocols that date a search."""
    participant: Word | None = None
    """For a partner that verifies: whom the probe is compared with, by the partner's own name for the record."""


class SearchOrder(OrderTerms):
    """One leg of a search, as one partner is asked."""

    probe: ProbeImage
    callback_url: str | None = Field(default=None, max_length=500, pattern=r"^https?://[^\s?#]+$")
    """Where the partner may send a late answer: the operator's own address, never one from a request. None: poll."""


class Handling(_Value):
    """What the partner itself wrote about one record. A claim: the owner is taken from the register, never from here."""

    owner: Word | None = None
    custodian: Word | None = None
    caveats: tuple[Word, ...] = Field(default=(), max_length=50)
    source_reference: Word | None = None


class ReportedCandidate(_Value):
    """One likely match as the partner reported it; never an identification."""

    reference: Word
    """The partner's own name for the record."""
    rank: int = Field(ge=0, le=1_000_000)
    score: Score
    """On the partner's own scale, which its adapter's documentation states; higher is more alike."""
    handling: Handling | None = None
    facts: Mapping[Word, Fact] = Field(default_factory=dict, max_length=50)
    """Other scalar statements about the record, as the partner names them."""


class Answered(_Value):
    """The partner's whole candidate list. Dispatch orders it by rank; an empty one becomes `NoHit`."""

    candidates: tuple[ReportedCandidate, ...]


class NoHit(_Value):
    """The partner searched and found nobody."""

    claimed_owner: Word | None = None
    """Whose answer the partner itself says this is, where its protocol says so of the whole. A claim, as in `Handling`."""


class Submitted(_Value):
    """The partner took the search and will answer later, to a poll or by a callback."""

    task_id: Word
    poll_after_seconds: Wait = 1.0


class StillPending(_Value):
    """Nothing yet; ask again no sooner than this."""

    poll_after_seconds: Wait = 1.0


class RedeliveryAsked(_Value):
    """The search is done and the partner was asked to send its answer to the callback; poll again if it does not come."""

    poll_after_seconds: Wait = 5.0


class Refusal(StrEnum):
    """Why a partner would not search."""

    BAD_REQUEST = "bad_request"
    NOT_AUTHORISED = "not_authorised"
    """It does not accept the broker's credential, or not for this call."""
    UNKNOWN_GALLERY = "unknown_gallery"
    UNKNOWN_PARTICIPANT = "unknown_participant"
    """A partner that verifies has nobody enrolled under that name."""
    OTHER = "other"


class Refused(_Value):
    """The partner understood and declined. Asking again unchanged is pointless."""

    code: Refusal


class FailureKind(StrEnum):
    """Why there is no answer although the partner did not decline."""

    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    """It showed no certificate that could be verified."""
    REDIRECTED = "redirected"
    TOO_LARGE = "too_large"
    TRUNCATED = "truncated"
    ENCODED = "encoded"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    NOT_STRICT_JSON = "not_strict_json"
    BAD_ADDRESS = "bad_address"
    BUDGET_SPENT = "budget_spent"
    UNEXPECTED_STATUS = "unexpected_status"
    MALFORMED_REPLY = "malformed_reply"
    """Well-formed JSON that is not the answer the protocol promises, or names another transaction."""
    LOCATION_SENT = "location_sent"
    """The answer says where somebody is, which is not brokered. Nothing of it is kept."""
    TOO_MANY_CANDIDATES = "too_many_candidates"
    """More than were asked for. None of them is kept: see docs/decisions."""
    UNKNOWN_TASK = "unknown_task"
    PARTNER_ERROR = "partner_error"
    """The partner says that its side broke."""
    ADAPTER_ERROR = "adapter_error"
    """The adapter raised, or gave back something that is no outcome."""


class Failed(_Value):
    """No answer, and why."""

    kind: FailureKind


class TimedOut(_Value):
    """No answer within the time allowed; whether the partner searched is not known."""


Outcome: TypeAlias = Answered | NoHit | Submitted | StillPending | RedeliveryAsked | Refused | Failed | TimedOut


class Wire(Protocol):
    """One partner's base URL, and nothing else of the network."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Json = None,
        body: Octets | None = None,
        accept: str | None = None,
        idempotent: bool = False,
    ) -> WireReply:
        """Make one call and read the reply.

        *path* starts with a slash and is already percent-encoded (`path_segment`). *idempotent* says that the partner
        takes a second identical call for the first one repeated; only such calls are retried. A partner that speaks no
        JSON is sent *body*, and answers in the media type *accept*: exactly that one, and within the same limits.
        Raises `WireFailure`, which the adapter lets pass.
        """
        ...


@runtime_checkable
class Adapter(Protocol):
    """Our plug for one kind of partner system. Made without arguments; one object serves all searches at once."""

    @property
    def name(self) -> str:
        """The name of its entry point in the group ``broker.adapters``."""
        ...

    async def search(self, order: SearchOrder, wire: Wire) -> Outcome:
        """Submit the order."""
        ...

    async def poll(self, order: OrderTerms, task_id: str, wire: Wire) -> Outcome:
        """Ask what became of an order that was `Submitted`. A partner that never submits may raise."""
        ...

    def callback(self, order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:
        """Read an answer that the partner sent to ``/v1/callbacks/…``; no I/O.

        The caller has verified the signature, found the order by the query's ``transactionId``, and seen that
        ``taskId`` is the one this order was given.
        """
        ...


def path_segment(text: str) -> str:
    """*text* as exactly one segment of a path. Names that come from a partner must pass through here.

    Raises `WireFailure` for a text that cannot be one, such as ``..``.
    """
    if text in ("", ".", ".."):
        raise WireFailure(WireFault.BAD_ADDRESS)
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise WireFailure(WireFault.BAD_ADDRESS) from None
