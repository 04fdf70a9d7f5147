"""Telling those whom a permission request concerns: by its id alone, so that no owner learns of another."""

from collections.abc import Iterable
from datetime import datetime

from broker.jobs.outbox import Happened, Message, post
from broker.kernel.ids import AgencyId, PermissionRequestId
from broker.storage.unit_of_work import Transaction


async def tell(
    tx: Transaction, request: PermissionRequestId, subject: Happened, agencies: Iterable[AgencyId], at: datetime
) -> None:
    """Promise to tell each of *agencies* once that this happened to the request."""
    for agency in sorted(set(agencies)):
        await post(tx, Message(to=agency, subject=subject, about={"permission_request": request}, at=at))
