"""The one tree of errors. Each class has a slug and an HTTP status; ``broker.api.problems`` maps them once.

A `detail` is written for the person who has to act on it. It never contains input, another party's text, or a
driver's message: those are logged, not sent.
"""

from typing import ClassVar


class BrokerError(Exception):
    """Anything that ends a call other than as asked. A Deny is not an error: it is an answer."""

    slug: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something broke on our side"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class Unauthenticated(BrokerError):
    slug, status, title = "unauthenticated", 401, "A valid bearer token is needed"


class Forbidden(BrokerError):
    slug, status, title = "forbidden", 403, "This caller may not make this call"


class NotFound(BrokerError):
    """Not there, or not for this caller: the two must look the same, so there is no detail to give."""

    slug, status, title = "not-found", 404, "Not found"

    def __init__(self) -> None:
        super().__init__()


class Conflict(BrokerError):
    slug, status, title = "conflict", 409, "The present state does not allow this"


class Invalid(BrokerError):
    """The request is understood and cannot be accepted as it is."""

    slug, status, title = "invalid", 422, "The request cannot be accepted"

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.pointer = pointer


class TooMany(BrokerError):
    slug, status, title = "too-many", 429, "This caller has as many of these open as one may have"


class NoProvenance(BrokerError):
    """Something without an owner is locked, not free; so it is not taken in."""

    slug, status, title = "no-provenance", 422, "Nobody is recorded as the owner of this"


class IdempotencyKeyMissing(BrokerError):
    slug, status, title = "idempotency-key-missing", 400, "The header Idempotency-Key is needed"


class IdempotencyKeyInFlight(BrokerError):
    slug, status, title = "idempotency-key-in-flight", 409, "The first call with this key is still being worked on"


class IdempotencyKeyReused(BrokerError):
    slug, status, title = "idempotency-key-reused", 422, "This key was used for another request"


class Unavailable(BrokerError):
    slug, status, title = "unavailable", 503, "Not able to answer now"


class ConfigurationError(BrokerError):
    """The service cannot start as it is set up; `detail` says what to change."""

    slug, status, title = "configuration", 500, "The service is not set up correctly"
