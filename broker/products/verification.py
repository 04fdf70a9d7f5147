"""Verifying with the owner before anybody relies on its information (R10).

The component that asked asks the owner; the owner's release officer answers, for exactly one item. A confirmation is
for that item and for nothing made of it: a lead can say anything about a list that is right. A doubt reaches everything
made of the item, also afterwards, until the owner confirms that same item.
"""

from broker.audit.events import Actor, VerificationAnswered, VerificationRequested
from broker.audit.recorder import record
from broker.audit.refusals import on_record
from broker.decision.service import DecisionService, Released
from broker.items.descent import hold_made_of
from broker.items.ownership import custodian_of
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.errors import BrokerError, Invalid, NotFound
from broker.kernel.ids import AgencyId, ItemId, Subject, VerificationId, VerificationRequestId, new_id
from broker.kernel.words import Role
from broker.products import verification_repository as repository
from broker.products.verification_model import Confirmation, Verification, VerificationRequest
from broker.storage.attempt import attempt
from broker.storage.unit_of_work import Transaction, UnitOfWork


class VerificationService:
    """The use cases of asking an owner and of answering."""

    def __init__(self, work: UnitOfWork, door: DecisionService) -> None:
        self._work = work
        self._door = door

    async def ask(self, actor: Actor, item_id: str, owners: tuple[AgencyId, ...], note: str) -> VerificationRequest:
        """Ask owners of an item that the actor may view; with none named, all of them but the actor's own agency."""
        async with self._work.begin() as tx:
            seen = await self._door.view_within(tx, actor, item_id, "view")
            # What the door answered is on record and has to stay there, so a refusal is raised after this block.
            answer: VerificationRequest | BrokerError = NotFound()
            if seen is not None:
                answer = await attempt(tx, self._ask(tx, actor, seen, owners, note))
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def answer(self, actor: Actor, item_id: str, outcome: Confirmation, note: str | None) -> Verification:
        """The actor's agency says whether its part in an item is right.

        When a doubt has been answered, no release that commits later relies on an earlier confirmation.
        """
        owner = AgencyId(actor.agency)
        async with on_record(self._work, actor, "verification:answer") as tx:
            if await custodian_of(tx, item_id, owner) is None:
                raise NotFound
            reached = await hold_made_of(tx, item_id)
            verification = Verification(
                id=VerificationId(new_id("ver")),
                item=ItemId(item_id),
                owner=owner,
                outcome=outcome,
                note=note,
                answered_by=Subject(actor.sub),
                at=await tx.clock(),
            )
            await repository.add(tx, verification)
            if outcome is Confirmation.NOT_CONFIRMED:
                await repository.doubt(tx, verification.item, owner, reached)
            elif outcome is Confirmation.CONFIRMED:
                # "Cannot say" takes no doubt back: only the owner's yes to the same item does.
                await repository.dispel(tx, verification.item, owner)
            about = {"verification": verification.id, "item": item_id}
            for component in await repository.who_asked(tx, verification.item, owner):
                await post(
                    tx, Message(to=component, subject=Happened.VERIFICATION_ANSWERED, about=about, at=verification.at)
                )
            await record(
                tx,
                VerificationAnswered(
                    actor=actor,
                    verification_id=verification.id,
                    item_id=verification.item,
                    owner=owner,
                    outcome=outcome.value,
                    reached=len(reached),
                ),
            )
        return verification

    async def given(self, actor: Actor, item_id: str) -> tuple[Verification, ...]:
        """What owners have said of an item that the actor may view, in the order of time."""
        async with self._work.begin() as tx:
            seen = await self._door.view_within(tx, actor, item_id, "view")
            found = () if seen is None else await repository.given(tx, seen.item.id)
        if seen is None:
            raise NotFound
        return found

    async def page(self, actor: Actor, after: str, limit: int) -> list[VerificationRequest]:
        """Requests: to the actor's agency as owner for its release officer, else those of the own component."""
        agency = AgencyId(actor.agency)
        async with self._work.begin() as tx:
            if Role.RELEASE_OFFICER.value in actor.roles:
                found = await repository.page(tx, None, agency, after, limit)
                return [_for_owner(one, agency) for one in found]
            return await repository.page(tx, agency, None, after, limit)

    async def _ask(
        self, tx: Transaction, actor: Actor, seen: Released, owners: tuple[AgencyId, ...], note: str
    ) -> VerificationRequest:
        there = seen.item.lineage.owners
        if not set(owners) <= there:
            raise Invalid("one of these is no owner of this item", "/owners")
        asked = tuple(sorted(set(owners) or there - {AgencyId(actor.agency)}))
        if not asked:
            raise Invalid("nobody but your own agency has a part in this item, so there is nobody to ask", "/owners")
        await self._door.check_words(tx, actor, asked, {"/note": note})
        request = VerificationRequest(
            id=VerificationRequestId(new_id("vrq")),
            item=seen.item.id,
            component=AgencyId(actor.agency),
            requested_by=Subject(actor.sub),
            at=await tx.clock(),
            owners=asked,
            note=note,
            answered=(),
        )
        await repository.add_request(tx, request)
        about = {"verification_request": request.id, "item": request.item}
        for owner in asked:
            await post(tx, Message(to=owner, subject=Happened.VERIFICATION_REQUESTED, about=about, at=request.at))
        await record(
            tx,
            VerificationRequested(actor=actor, verification_request_id=request.id, item_id=request.item, owners=asked),
        )
        return request


def _for_owner(request: VerificationRequest, owner: AgencyId) -> VerificationRequest:
    """Who else is asked is the others' information."""
    own = {"owners": (owner,), "answered": tuple(one for one in request.answered if one == owner)}
    return request.model_copy(update=own)
