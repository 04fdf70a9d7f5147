"""Bodies and replies of cases."""

from pydantic import AwareDatetime

from broker.api.schemas.words import Body, Line, Reply
from broker.cases.model import Case, CaseStatus
from broker.kernel.ids import AgencyId, CaseId


class NewCase(Body):
    """A matter to be registered."""

    reference: Line
    title: Line


class CaseReply(Reply):
    """A registered matter."""

    id: CaseId
    reference: str
    title: str
    agency: AgencyId
    status: CaseStatus
    opened_at: AwareDatetime
    closed_at: AwareDatetime | None


class CaseList(Reply):
    """A page of matters."""

    items: list[CaseReply]
    next: str | None
    complete: bool


def case_reply(case: Case) -> CaseReply:
    """The outward form of a case."""
    return CaseReply.model_validate(case.model_dump())
