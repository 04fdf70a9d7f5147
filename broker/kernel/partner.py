"""What the register of partners says of one outside system: data, read from ``policies/partners.yaml``."""

from datetime import date
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from broker.kernel.ids import AgencyId, PartnerId, PurposeId

MOST_REPLY_BYTES: Final = 50_000_000
"""The most that the register may let one answer be long."""


class Agreement(BaseModel):
    """The memorandum under which a partner may be searched. Both dates are inclusive, in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: str = Field(min_length=1, max_length=100)
    valid_from: date
    valid_until: date
    purposes: tuple[PurposeId, ...] = Field(min_length=1)
    """Purposes for which a search may be asked; exactly these, children are not implied."""


class Limits(BaseModel):
    """How much of the broker one partner may take up. Times are in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    call_seconds: float = Field(default=10.0, gt=0, le=300)
    """One whole exchange, connect to last byte."""
    answer_seconds: float | None = Field(default=None, gt=0, le=604_800)
    """A deadline of its own for the legs of a partner that takes long; unset, the search's deadline rules."""
    reply_bytes: int = Field(default=1_000_000, gt=0, le=MOST_REPLY_BYTES)
    """The longest answer that is read, as a reply or as a callback."""
    attempts: int = Field(default=3, ge=1, le=10)
    """Calls that may be made for one search, the first one included; repeated ones also need the partner's budget."""
    concurrent: int = Field(default=16, ge=1, le=1000)
    """Calls at this partner at a time, by all workers together."""
    per_second: float | None = Field(default=None, gt=0, le=10_000)
    """Calls a second in the long run, by all workers together; unset, as many as come."""
    burst: int = Field(default=5, ge=1, le=10_000)
    """Calls at once after a rest, where `per_second` is set."""


class Duty(StrEnum):
    """A duty towards recipients that an owner's system can be exempt from."""

    CORRECTION_NOTICE = "correction_notice"
    """Telling recipients of a correction or dispute (5 USC 552a(c)(4))."""


class Exemption(BaseModel):
    """That one system is exempt from a duty, on what ground, and from which day on, in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    duty: Duty
    ground: str = Field(min_length=1, max_length=300)
    valid_from: date


class Participation(BaseModel):
    """For a partner that verifies enrolled participants one to one: whose they are, and what each must have accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    agency: AgencyId
    """The component whose participants they are. Only its people who are enrolled for the partner know of them."""
    terms_version: str = Field(min_length=1, max_length=100)
    """The terms of use in force. A participant who has not accepted exactly this version is not asked about."""


class PartnerEntry(BaseModel):
    """One row of the register. The owner stands here and is never taken from what a partner says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: PartnerId
    title: str = Field(min_length=1, max_length=200)
    owner: AgencyId
    other_owners: tuple[AgencyId, ...] = ()
    """Agencies whose records this partner may answer with, where its system is a gateway to theirs. A candidate that is
    claimed for one of them is that agency's as well; the list as a whole stays the owner's."""
    custodian: AgencyId
    """Who holds the system; the owner itself unless the system answers with another owner's records."""
    adapter: str = Field(min_length=1, max_length=100)
    """Name of the entry point in the group ``broker.adapters``."""
    url: HttpUrl
    gallery: str = Field(min_length=1, max_length=100)
    approved: bool
    agreement: Agreement
    key_header: str | None = Field(default=None, pattern=r"^X-[A-Z][a-z]{1,20}(-[A-Z][a-z]{1,20}){0,3}$")
    """Where this partner wants the key that the two share; unset, as a bearer token in ``Authorization``."""
    probe_kinds: tuple[str, ...] = Field(min_length=1)
    """Kinds of probe that the agreement lets us send."""
    probe_max_age_days: int | None = Field(default=None, ge=1, le=36_500)
    """How long ago a probe may have been acquired; unset, the agreement sets no limit."""
    probe_edits: tuple[str, ...] | None = None
    """The edits that a probe may have undergone, exactly; unset, every edit that is listed with the search."""
    max_candidates: int = Field(default=50, ge=2, le=50)
    """The most candidates that may be asked for (R7)."""
    caveats: tuple[str, ...] = ()
    """Codes of ``caveats.yaml`` put on every item that comes from this partner."""
    limits: Limits = Limits()
    exemptions: tuple[Exemption, ...] = ()

    def exempt_from(self, duty: Duty, day: date) -> str | None:
        """The ground on which this system is exempt from *duty* on that day, if it is."""
        grounds = [one.ground for one in self.exemptions if one.duty is duty and one.valid_from <= day]
        return grounds[0] if grounds else None

    participation: Participation | None = None
    """Set for a partner that compares a probe with one enrolled participant; unset for one that searches a gallery."""
