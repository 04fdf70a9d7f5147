"""Who is calling: a signed token, checked in full, or nobody.

Issuer, audience, expiry and a fixed list of algorithms are all required. Development tokens are accepted only while
no production issuer is set.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import structlog
from joserfc import jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from broker.audit.events import Actor
from broker.kernel.clock import Clock
from broker.kernel.errors import Unauthenticated
from broker.kernel.words import Role

ALGORITHMS: Final = ("Ed25519", "EdDSA", "ES256", "ES384", "PS256", "RS256")
"""Signatures only: with a shared-secret algorithm in this list, a public key would serve as the secret."""
_LEEWAY_SECONDS: Final = 30
_log = structlog.get_logger(__name__)

KeySource = Callable[[], Awaitable[KeySet]]


class Caller(BaseModel):
    """What a token says of its holder. Written exactly: nothing is trimmed, folded or guessed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sub: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    agency: str = Field(min_length=1, max_length=100)
    roles: tuple[Role, ...] = Field(min_length=1, max_length=10)
    training_valid_until: date | None = None
    partners: tuple[str, ...] = Field(default=(), max_length=100)
    exp: float = 0.0
    """Until when the token is good, in Unix seconds; what does not say so is not good any more."""

    @field_validator("training_valid_until", mode="before")
    @classmethod
    def _day(cls, value: object) -> object:
        if value is None or (isinstance(value, str) and len(value) == len("2026-01-31")):
            return value
        raise ValueError("is a date such as 2026-01-31")

    @property
    def actor(self) -> Actor:
        """The caller as the audit names them."""
        return Actor(
            sub=self.sub,
            agency=self.agency,
            roles=tuple(sorted({role.value for role in self.roles})),
            enrolled=tuple(sorted(set(self.partners))),
        )

    def seconds_left(self, now: datetime) -> float:
        """How long the token is still taken, so that a stream can end with it."""
        return self.exp + _LEEWAY_SECONDS - now.timestamp()

    def training_valid_on(self, day: date) -> bool:
        """Whether the training covers that day, its last day included."""
        return self.training_valid_until is not None and day <= self.training_valid_until


class Authenticator:
    """Turns a bearer token into a caller."""

    def __init__(self, keys: KeySource, issuer: str, audience: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    async def caller(self, authorization: str | None) -> Caller:
        """The caller; raises Unauthenticated without saying which check failed. That is logged."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("send Authorization: Bearer <token>")
        try:
            decoded = jwt.decode(token, await self._keys(), algorithms=list(ALGORITHMS))
            self._check(decoded.claims)
            return Caller.model_validate(decoded.claims)
        except (JoseError, ValidationError, ValueError) as fault:
            _log.info("token_refused", kind=type(fault).__name__, claims=_claims_at_fault(fault))
            raise Unauthenticated("the token is not valid here, or no longer") from None

    def _check(self, claims: dict[str, Any]) -> None:
        now = int(self._clock.now().timestamp())
        registry = jwt.JWTClaimsRegistry(
            now=now,
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        registry.validate(claims)


def _claims_at_fault(fault: Exception) -> list[str]:
    # Their names alone: what a refused token says is anybody's text.
    if isinstance(fault, ClaimError):
        return [fault.claim]
    if isinstance(fault, ValidationError):
        return sorted({str(one["loc"][0]) for one in fault.errors(include_input=False) if one["loc"]})
    return []


def day_of(moment: datetime) -> date:
    """The UTC day of a moment."""
    return moment.astimezone(UTC).date()
