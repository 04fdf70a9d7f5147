"""What was asked for, as columns: of a release that was made, and of one that waits."""

from typing import Any

from broker.kernel.words import Action
from broker.release.model import Recipient, ReleaseRequest


def columns_of(request: ReleaseRequest) -> dict[str, Any]:
    """The columns, but for the person and the address, which stand with the accounting."""
    return {
        "item_id": request.item,
        "recipient": request.recipient.agency,
        "action": request.action.value,
        "purpose": request.purpose,
        "case_id": request.case_id,
        "fields": list(request.fields) if request.fields is not None else None,
    }


def request_of(row: Any, danger: str | None = None) -> ReleaseRequest:
    """The request again, from a row that has person and address as well."""
    return ReleaseRequest(
        item=row.item_id,
        recipient=Recipient(agency=row.recipient, person=row.person, address=row.address),
        action=Action(row.action),
        purpose=row.purpose,
        case_id=row.case_id,
        fields=tuple(row.fields) if row.fields is not None else None,
        danger=danger,
    )
