"""A case: an open or closed matter of one component."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, CaseId


class CaseStatus(StrEnum):
    """A closed case takes no further search."""

    OPEN = "open"
    CLOSED = "closed"


class Case(BaseModel):
    """One matter. `agency` is the component that opened it and the only one that sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: CaseId
    agency: AgencyId
    reference: str
    title: str
    status: CaseStatus
    opened_at: AwareDatetime
    closed_at: AwareDatetime | None
