"""A participant, and what they accepted: values."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, ParticipantId, PartnerId, Subject


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Acceptance(_Value):
    """One version of the terms of use, accepted: when, and who recorded it when."""

    terms_version: str
    accepted_at: AwareDatetime
    recorded_by: Subject
    recorded_at: AwareDatetime


class Participant(_Value):
    """One enrolment. Who is enrolled again later is another participant, who accepts anew."""

    id: ParticipantId
    partner: PartnerId
    agency: AgencyId
    reference: str
    """The partner's own name for the record."""
    enrolled_by: Subject
    enrolled_at: AwareDatetime
    ended_by: Subject | None
    ended_at: AwareDatetime | None
    end_reason: str | None
    acceptances: tuple[Acceptance, ...]

    def has_accepted(self, terms_version: str) -> bool:
        """Whether exactly this version is on record; an older one is not it."""
        return any(one.terms_version == terms_version for one in self.acceptances)
