"""Leads: acting on them, and what became of them."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, ServicesDep, policy_of
from broker.api.schemas.leads import (
    ActionList,
    ActionReply,
    NewAction,
    NewOutcome,
    OutcomeReply,
    action_reply,
    outcome_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1/items", tags=["leads"])


@router.post("/{item_id}/actions", status_code=201)
async def record_action(
    item_id: OpaqueId,
    body: NewAction,
    caller: Annotated[Caller, Depends(Allowed(Act.LEAD_ACT))],
    held: ServicesDep,
) -> ActionReply:
    """Record what was done on the strength of a lead. Refused without a corroboration from outside its searches."""
    return action_reply(await held.leads.act(caller.actor, item_id, body.deed(), policy_of(held)))


@router.get("/{item_id}/actions")
async def list_actions(
    item_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.ITEM_READ))], held: ServicesDep
) -> ActionList:
    """What was done on the strength of a lead."""
    found = await held.leads.actions(caller.actor, item_id)
    return ActionList(items=[action_reply(one) for one in found], next=None, complete=True)


@router.post("/{item_id}/outcomes", status_code=201)
async def conclude_lead(
    item_id: OpaqueId,
    body: NewOutcome,
    caller: Annotated[Caller, Depends(Allowed(Act.LEAD_CONCLUDE))],
    held: ServicesDep,
) -> OutcomeReply:
    """Say what became of a lead."""
    return outcome_reply(await held.leads.conclude(caller.actor, item_id, body.outcome))
