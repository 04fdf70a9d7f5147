"""What a status other than success means for a search, whatever a partner speaks. Pure."""

from collections.abc import Mapping
from typing import Final

from broker.partners.contract import Failed, FailureKind, Refusal, Refused

MALFORMED: Final = Failed(kind=FailureKind.MALFORMED_REPLY)
_REFUSALS: Final[Mapping[int, Refusal]] = {
    400: Refusal.BAD_REQUEST,
    401: Refusal.NOT_AUTHORISED,
    403: Refusal.NOT_AUTHORISED,
    404: Refusal.UNKNOWN_GALLERY,
    409: Refusal.OTHER,
    413: Refusal.BAD_REQUEST,
    415: Refusal.BAD_REQUEST,
    422: Refusal.BAD_REQUEST,
}


def read_failure(status: int) -> Refused | Failed:
    """A refusal, or a failure and whose it is."""
    if status in _REFUSALS:
        return Refused(code=_REFUSALS[status])
    if status == 429 or status >= 500:
        return Failed(kind=FailureKind.PARTNER_ERROR)
    return Failed(kind=FailureKind.UNEXPECTED_STATUS)
