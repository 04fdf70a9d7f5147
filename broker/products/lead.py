"""Acting on a lead, and what became of it (R9, R10).

A lead is reviewed, verified where its owner demands that, and corroborated by something that does not come from the
same search, before it is acted on. The record of the act is an item like any other: it carries the owners of all that
it names, and leaves by the same door.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.audit.events import ActionRecorded, Actor, OutcomeRecorded
from broker.audit.recorder import record
from broker.cases.service import find as find_case
from broker.decision.gate import review_gaps
from broker.decision.service import DecisionService, Released
from broker.items.model import Item, Source
from broker.kernel.errors import BrokerError, Conflict, Invalid, NotFound
from broker.kernel.ids import AgencyId, CaseId, ItemId, new_id
from broker.kernel.words import ItemKind
from broker.policy.snapshot import PolicySnapshot
from broker.products import lead_repository as repository
from broker.products.corroboration import Corroboration, independent, without_origin
from broker.products.derive import DeriveService, Draft, Part
from broker.provenance.caveats import Caveat, Check
from broker.storage.attempt import attempt
from broker.storage.unit_of_work import Transaction, UnitOfWork

_NOT_A_LEAD: Final = "only a lead is acted on; write one from this item first"
_ALONE: Final = (
    "a lead alone is no basis for an action: name at least one corroboration that does not come from the same search, "
    "as an item of another search, or as what was learned outside, where and when"
)


class LeadOutcome(StrEnum):
    """What became of a lead."""

    CORROBORATED = "corroborated"
    REFUTED = "refuted"
    NO_OUTCOME = "no_outcome"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Deed(_Value):
    """What the actor says was done."""

    action: str
    description: str
    corroborations: tuple[Corroboration, ...]


class ActionRecord(_Value):
    """That something was done on a lead. What it was is the content of the item `id`."""

    id: ItemId
    lead: ItemId
    owners: tuple[AgencyId, ...]
    at: AwareDatetime
    corroborations: int
    independent: int


class Concluded(_Value):
    """What became of a lead, as it was recorded."""

    id: str
    lead: ItemId
    outcome: LeadOutcome
    at: AwareDatetime


class LeadService:
    """The use cases of acting on leads."""

    def __init__(self, work: UnitOfWork, door: DecisionService, derive: DeriveService) -> None:
        self._work = work
        self._door = door
        self._derive = derive

    async def act(self, actor: Actor, lead_id: str, deed: Deed, policy: PolicySnapshot) -> ActionRecord:
        """Record what was done on the strength of a lead, if it might be."""
        async with self._work.begin() as tx:
            draft = await self._recognised(tx, AgencyId(actor.agency), _draft(ItemId(lead_id), CaseId(""), deed), deed)
            opened = await self._derive.open_sources(tx, actor, draft)
            # What the door answered is on record and has to stay there, so a refusal is raised after this block.
            answer: ActionRecord | BrokerError = NotFound()
            if opened is not None:
                answer = await attempt(tx, self._act(tx, actor, opened, ItemId(lead_id), deed, draft, policy))
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def conclude(self, actor: Actor, lead_id: str, outcome: LeadOutcome) -> Concluded:
        """Record what became of a lead. The last word counts; those before it stay."""
        async with self._work.begin() as tx:
            seen = await self._door.view_within(tx, actor, lead_id, "view")
            answer: Concluded | BrokerError = NotFound()
            if seen is not None:
                answer = await attempt(tx, self._conclude(tx, actor, seen.item, outcome))
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def actions(self, actor: Actor, lead_id: str) -> tuple[ActionRecord, ...]:
        """What was done on a lead that the actor may view, as far as they may view the records as well."""
        async with self._work.begin() as tx:
            seen = await self._door.view_within(tx, actor, lead_id, "view")
            rows = [] if seen is None else await repository.actions(tx, seen.item.id)
        if seen is None:
            raise NotFound
        found = []
        for row in rows:
            # Each in its own transaction: items are locked in ascending id, and these are in the order of time.
            shown = await self._door.view(actor, row.item_id)
            if shown is not None:
                found.append(_action(shown.item, row.lead_id, row.corroborations, row.independent))
        return tuple(found)

    async def _recognised(self, tx: Transaction, component: AgencyId, draft: Draft, deed: Deed) -> Draft:
        """The record with the sources that its words turn out to have, looked for as they were given."""
        told = (deed.description, *(f"{one.description}\n{one.where or ''}" for one in deed.corroborations))
        bare = tuple(part.model_copy(update={"text": text}) for part, text in zip(draft.parts, told, strict=True))
        known = await self._derive.recognise(tx, component, draft.model_copy(update={"parts": bare}))
        parts = tuple(
            part.model_copy(update={"sources": found.sources})
            for part, found in zip(draft.parts, known.parts, strict=True)
        )
        return draft.model_copy(update={"parts": parts})

    async def _act(
        self,
        tx: Transaction,
        actor: Actor,
        opened: dict[ItemId, Released],
        lead_id: ItemId,
        deed: Deed,
        draft: Draft,
        policy: PolicySnapshot,
    ) -> ActionRecord:
        lead = opened[lead_id]
        if lead.item.kind is not ItemKind.LEAD:
            raise Conflict(_NOT_A_LEAD)
        # Who holds a copy works no case of the lead's, and hears nothing of how the whole of it stands.
        if await find_case(tx, AgencyId(actor.agency), lead.item.case_id) is None:
            raise Invalid("case_id names no case of your component", "/case_id")
        await self._check_reliance(tx, AgencyId(actor.agency), lead, policy.bundle.caveats)
        count = await self._count_independent(tx, lead_id, deed)
        if not count:
            raise Invalid(_ALONE, "/corroborations")
        draft = draft.model_copy(update={"case_id": lead.item.case_id})
        item = await self._derive.write(tx, actor, draft, opened, policy.bundle.purposes)
        made = _action(item, lead_id, len(deed.corroborations), count)
        counted = {"corroborations": made.corroborations, "independent": made.independent}
        await repository.add_action(tx, item.id, lead_id, component=item.component, at=item.created_at, **counted)
        await record(tx, ActionRecorded(actor=actor, lead_id=lead_id, item_id=item.id, **counted))
        return made

    async def _check_reliance(
        self, tx: Transaction, actor: AgencyId, lead: Released, caveats: Mapping[str, Caveat]
    ) -> None:
        reviews, said = await self._door.standing(tx, lead)
        gaps = review_gaps(reviews.unreviewed, reviews.disputed)
        if gaps:
            raise Conflict(f"{'; '.join(gaps)}; have them reviewed before anybody acts on this")
        if said.unconfirmed:
            named = sorted(said.unconfirmed & lead.item.lineage.owners)
            raise Conflict(f"{' and '.join(named) or 'an owner'} did not confirm what this is made of")
        unverified = sorted(
            marking.owner
            for marking in lead.item.lineage.markings
            if marking.owner not in said.verified | {actor}
            and any((caveat := caveats.get(c)) and caveat.check is Check.OWNER_MUST_VERIFY for c in marking.caveats)
        )
        if unverified:
            owners = " and ".join(dict.fromkeys(unverified))
            raise Conflict(f"{owners} wants this verified first; ask with POST …/verification-requests of this lead")

    async def _count_independent(self, tx: Transaction, lead: ItemId, deed: Deed) -> int:
        for n, one in enumerate(deed.corroborations):
            if not one.complete:
                raise Invalid("what comes from outside says what, `where` and `when`", f"/corroborations/{n}")
        of_lead = await repository.origins(tx, lead)
        named = {one.source for one in deed.corroborations if one.source is not None}
        found = [independent(of_lead, await repository.origins(tx, one), lead) for one in sorted(named)]
        return sum(found) + without_origin(deed.corroborations)

    async def _conclude(self, tx: Transaction, actor: Actor, lead: Item, outcome: LeadOutcome) -> Concluded:
        if lead.kind is not ItemKind.LEAD:
            raise Conflict("only of a lead can be said what became of it")
        made = Concluded(id=new_id("out"), lead=lead.id, outcome=outcome, at=await tx.clock())
        await repository.add_outcome(
            tx,
            id=made.id,
            lead_id=lead.id,
            outcome=outcome.value,
            component=actor.agency,
            recorded_by=actor.sub,
            at=made.at,
        )
        await record(tx, OutcomeRecorded(actor=actor, lead_id=lead.id, outcome_id=made.id, outcome=outcome.value))
        return made


def _draft(lead: ItemId, case_id: CaseId, deed: Deed) -> Draft:
    """The record as something written: what was done uses the lead, each corroboration the item that it names."""
    return Draft(
        kind=ItemKind.ACTION_RECORD,
        title=deed.action,
        case_id=case_id,
        parts=(
            Part(text=deed.description, sources=(Source(item=lead),)),
            *(
                Part(text=one.text, sources=() if one.source is None else (Source(item=one.source),))
                for one in deed.corroborations
            ),
        ),
    )


def _action(item: Item, lead: ItemId, corroborations: int, count: int) -> ActionRecord:
    return ActionRecord(
        id=item.id,
        lead=lead,
        owners=tuple(sorted(item.lineage.owners)),
        at=item.created_at,
        corroborations=corroborations,
        independent=count,
    )
