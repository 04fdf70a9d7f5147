"""The marking of an item: whose it is, who holds the system, under which agreement, with which caveats."""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from broker.kernel.ids import AgencyId, CaseId, PartnerId
from broker.provenance.selection import Selectors, outermost, well_formed


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
    selectors: Selectors = None
    """The places of the content that this is about; the whole content where none are named."""

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        # A marking about no place at all would have an owner whom nobody asks.
        if self.selectors is not None and not (self.selectors and all(map(well_formed, self.selectors))):
            raise ValueError("selectors, when given, name at least one place, each as a JSON Pointer")
        return self


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
    selectors: Selectors = None,
) -> Marking:
    """A marking whose caveats and selectors are in their one canonical order."""
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
        selectors=None if selectors is None else outermost(selectors),
    )
