"""How a partner's late answer proves that it comes from that partner.

The header ``X-Broker-Signature: t=<unix seconds>,v1=<hex>`` holds an HMAC-SHA256, keyed with the secret that the
broker and this one partner share, over::

    <unix seconds> LF <METHOD> LF <path?query exactly as sent> LF <body>

None of the first three can hold a line feed, so no two requests give the same bytes. A signature is good for
`WINDOW_SECONDS` on both sides of its time. Within that window the same request may be replayed: the receiver
must take a second answer to a leg that has one for no news.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

SIGNATURE_HEADER: Final = "X-Broker-Signature"
WINDOW_SECONDS: Final = 300
_HEADER: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class Doubt(StrEnum):
    """Why a callback is not taken as the partner's. Logged; the caller is told only that it is not authenticated."""

    MISSING = "missing"
    MALFORMED = "malformed"
    STALE = "stale"
    """Outside the window, early or late."""
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Verified:
    """The holder of the secret made this request at about this time."""

    signed_at: int


@dataclass(frozen=True, slots=True)
class Unverified:
    """Nothing may be concluded from the request. Falsy."""

    doubt: Doubt

    def __bool__(self) -> Literal[False]:
        return False


def sign(secret: bytes, *, method: str, target: str, body: bytes, at: datetime) -> str:
    """The header's value. *target* is the path with its query, exactly as it goes on the wire; *at* is aware."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={_mac(secret, seconds, method, target, body)}"


def verify(
    secret: bytes, header: str | None, *, method: str, target: str, body: bytes, now: datetime
) -> Verified | Unverified:
    """Whether *header* signs this request. The caller has bounded the body's length."""
    if header is None:
        return Unverified(Doubt.MISSING)
    parts = _HEADER.fullmatch(header)
    if parts is None:
        return Unverified(Doubt.MALFORMED)
    seconds = int(parts[1])
    # The signature is compared first and in constant time, so that an unsigned caller learns nothing from the answer.
    if not hmac.compare_digest(parts[2], _mac(secret, seconds, method, target, body)):
        return Unverified(Doubt.MISMATCH)
    if abs(now.timestamp() - seconds) > WINDOW_SECONDS:
        return Unverified(Doubt.STALE)
    return Verified(seconds)


def api_key(secret: bytes) -> str:
    """The bearer token by which the partner knows the broker, derived so that the secret itself never travels."""
    return hmac.new(secret, b"interagency-request-broker api key v1", hashlib.sha256).hexdigest()


def _mac(secret: bytes, seconds: int, method: str, target: str, body: bytes) -> str:
    if not secret:
        raise ValueError("an empty secret signs nothing")
    head = f"{seconds}\n{method.upper()}\n{target}\n".encode()
    return hmac.new(secret, head + body, hashlib.sha256).hexdigest()
