"""Taking back in what the broker once gave out."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, ServicesDep, policy_of
from broker.api.schemas.items import ItemHead, NewImport, item_head
from broker.api.strict_bodies import StrictRoute
from broker.kernel.ids import CaseId
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1/imports", tags=["items"])


@router.post("", status_code=201)
async def import_package(
    body: NewImport, caller: Annotated[Caller, Depends(Allowed(Act.ITEM_DERIVE))], held: ServicesDep
) -> ItemHead:
    """Make an item again of a copy that the own component was given, with the owners of what it is a copy of."""
    purposes = policy_of(held).bundle.purposes
    return item_head(await held.imports.take_in(caller.actor, body.package, CaseId(body.case_id), purposes))
