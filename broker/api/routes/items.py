"""Items: reading them through the door, deriving, reviewing."""

from typing import Annotated

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, OpaqueId, ServicesDep, policy_of
from broker.api.schemas.grants import GrantReply, Revocation, grant_reply
from broker.api.schemas.items import (
    ItemHead,
    ItemReply,
    LineageReply,
    LineageSource,
    NewItem,
    NewReview,
    ReviewReply,
    ReviewsReply,
    item_head,
    item_reply,
    marking_reply,
    review_reply,
    reviews_reply,
)
from broker.api.strict_bodies import StrictRoute
from broker.kernel.errors import NotFound
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1/items", tags=["items"])


@router.post("", status_code=201)
async def derive_item(
    body: NewItem, caller: Annotated[Caller, Depends(Allowed(Act.ITEM_DERIVE))], held: ServicesDep
) -> ItemHead:
    """Write something from items. Every owner of every source goes into it for good."""
    item = await held.derive.derive(caller.actor, body.draft(), policy_of(held).bundle.purposes)
    return item_head(item)


@router.get("/{item_id}")
async def read_item(
    item_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.ITEM_READ))], held: ServicesDep
) -> ItemReply:
    """An item, if its owners let the caller's component look at it."""
    released = await held.door.view(caller.actor, item_id)
    if released is None:
        raise NotFound
    return item_reply(released)


@router.get("/{item_id}/lineage")
async def read_lineage(
    item_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.ITEM_READ))], held: ServicesDep
) -> LineageReply:
    """What an item derives from, and whose that is."""
    ancestry = await held.door.ancestry(caller.actor, item_id)
    if ancestry is None:
        raise NotFound
    lineage = ancestry.released.item.lineage
    return LineageReply(
        id=ancestry.released.item.id,
        owners=sorted(lineage.owners),
        markings=[marking_reply(one) for one in lineage.markings],
        sources=[
            LineageSource(part=part, item=source.item, selector=source.selector) for part, source in ancestry.sources
        ],
        roots=sorted(ancestry.roots),
        verified=sorted(ancestry.said.verified),
        unconfirmed=sorted(ancestry.said.unconfirmed),
    )


@router.post("/{item_id}/reviews", status_code=201)
async def review_item(
    item_id: OpaqueId,
    body: NewReview,
    caller: Annotated[Caller, Depends(Allowed(Act.ITEM_REVIEW))],
    held: ServicesDep,
) -> ReviewReply:
    """Give candidates of a list their dispositions. Never by the one who asked for the search."""
    return review_reply(await held.reviews.record(caller.actor, item_id, body.findings()))


@router.get("/{item_id}/reviews")
async def read_reviews(
    item_id: OpaqueId, caller: Annotated[Caller, Depends(Allowed(Act.ITEM_READ))], held: ServicesDep
) -> ReviewsReply:
    """The dispositions of a list. Whoever may still give one is not shown the others' before."""
    return reviews_reply(await held.reviews.read(caller.actor, item_id))


@router.post("/{item_id}/lift", status_code=201)
async def lift_item(
    item_id: OpaqueId,
    body: Revocation,
    caller: Annotated[Caller, Depends(Allowed(Act.ITEM_LIFT))],
    held: ServicesDep,
) -> GrantReply:
    """Lift the own agency's part of exactly this item. It waits for a second officer, and is revoked like any grant."""
    grant = await held.grants.lift(caller.actor, item_id, body.reason, policy_of(held))
    return grant_reply(await held.grants.entry(grant))
