"""The marking of an item: whose it is, who holds the system, under which agreement, with which caveats."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from broker.kernel.ids import AgencyId, CaseId, PartnerId


class Marking(BaseModel):
    """One owner's part in an item. Bound to the item when it is made, and never changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    owner: AgencyId
    custodian: AgencyId
    source_system: PartnerId | None
    """None for an author's own words."""
    source_reference: str | None = Field(max_length=200)
    agreement: str | None
    caveats: tuple[str, ...]
    """Codes, sorted, each once."""
    asked_by: AgencyId
    """The component that asked; for own words, the author's."""
    case_id: CaseId
    """The case under which it was obtained."""
    at: AwareDatetime


def mark(  # noqa: PLR0913 - a marking is complete or it is not one
    *,
    owner: AgencyId,
    custodian: AgencyId,
    source_system: PartnerId | None,
    source_reference: str | None,
    agreement: str | None,
    caveats: tuple[str, ...],
    asked_by: AgencyId,
    case_id: CaseId,
    at: datetime,
) -> Marking:
    """A marking whose caveats are in their one canonical order."""
    return Marking(
        owner=owner,
        custodian=custodian,
        source_system=source_system,
        source_reference=source_reference,
        agreement=agreement,
        caveats=tuple(sorted(set(caveats))),
        asked_by=asked_by,
        case_id=case_id,
        at=at,
    )
