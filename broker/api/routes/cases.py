"""Cases of the caller's component."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, PageDep, ServicesDep
from broker.api.schemas.cases import CaseList, CaseReply, NewCase, case_reply
from broker.api.strict_bodies import StrictRoute
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1/cases", tags=["cases"])


@router.post("", status_code=201)
async def open_case(
    body: NewCase, caller: Annotated[Caller, Depends(Allowed(Act.CASE_OPEN))], held: ServicesDep
) -> CaseReply:
    """Register a matter."""
    return case_reply(await held.cases.open(caller.actor, body.reference, body.title))


@router.get("")
async def list_cases(
    page: PageDep, caller: Annotated[Caller, Depends(Allowed(Act.CASE_READ))], held: ServicesDep
) -> CaseList:
    """The component's matters."""
    found = await held.cases.page(caller.actor, page.after, page.one_more)
    shown, following = page.cut(found)
    return CaseList(items=[case_reply(one) for one in shown], next=following, complete=following is None)


@router.get("/{case_id}")
async def read_case(
    case_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.CASE_READ))], held: ServicesDep
) -> CaseReply:
    """One matter."""
    return case_reply(await held.cases.read(caller.actor, case_id))


@router.post("/{case_id}/close")
async def close_case(
    case_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.CASE_CLOSE))], held: ServicesDep
) -> CaseReply:
    """Close a matter; it takes no further search."""
    return case_reply(await held.cases.close(caller.actor, case_id))
