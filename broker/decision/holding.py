"""What an agency holds by a release: the second way to an item, beside the look, and under that release's terms.

A holding counts only while the question that its release answered would still be answered yes; see
``broker.decision.sight``. Who keeps releases is above this stage, so what there is comes through a port.
"""

from typing import Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PurposeId, ReleaseId
from broker.kernel.words import Action
from broker.storage.unit_of_work import Transaction


class Holding(BaseModel):
    """One release to an agency whose caveats it has accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    release: ReleaseId
    item: ItemId
    component: AgencyId
    """Who passed it on."""
    recipient: AgencyId
    action: Action
    purpose: PurposeId
    case_id: CaseId
    fields: tuple[str, ...] | None
    """What of the item was released; None for all of it."""
    hop: int
    """How many releases lie between the component that asked the partner and this holder; 1 for the first."""
    grants: tuple[GrantId, ...]
    purge_by: AwareDatetime | None = None
    """When the copy has to be gone, where an owner said so; what has to be gone is held no more."""


class Holdings(Protocol):
    """Finds holdings. Only releases for passing on, of which the holder has accepted every caveat, are holdings."""

    async def of(self, tx: Transaction, agency: AgencyId, item_id: ItemId) -> tuple[Holding, ...]:
        """Some holdings of one item by one agency, the shortest way first."""
        ...

    async def named(self, tx: Transaction, agency: AgencyId, releases: tuple[ReleaseId, ...]) -> tuple[Holding, ...]:
        """Those of these releases that are holdings of that agency."""
        ...


class NothingHeld:
    """Nobody holds anything: for what makes no releases."""

    async def of(self, tx: Transaction, agency: AgencyId, item_id: ItemId) -> tuple[Holding, ...]:
        """Nothing."""
        del tx, agency, item_id
        return ()

    async def named(self, tx: Transaction, agency: AgencyId, releases: tuple[ReleaseId, ...]) -> tuple[Holding, ...]:
        """None of them."""
        del tx, agency, releases
        return ()


def within(fields: tuple[str, ...] | None, held: tuple[str, ...] | None) -> bool:
    """Whether all that is asked for was released: each field is one that is held, or lies below one."""
    if held is None:
        return True
    return bool(fields) and all(any(one == top or one.startswith(top + "/") for top in held) for one in fields or ())
