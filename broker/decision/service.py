"""The door. Whoever wants content asks here; what comes out is a `Released`, or a refusal that is on record.

Every question is recorded with its answer in the transaction that relies on it: no row, no act.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.audit.events import Actor
from broker.decision.holding import Holdings, NothingHeld, within
from broker.decision.journal import Channel, Judgement, record_judgement, record_unknown
from broker.decision.loader import Loader
from broker.decision.model import Decision, Deny, Exigency, Permit, Question, Reason, forbidden
from broker.decision.sight import Explain, Look, Sight
from broker.items.excerpt import excerpt
from broker.items.handing_out import hand_out
from broker.items.model import Content, Item, Source
from broker.items.projection import all_resolve
from broker.items.reader import Confirmations, ReviewGaps, Stored
from broker.kernel.errors import Invalid
from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PurposeId, ReleaseId
from broker.kernel.words import Action, ReasonCode, Role
from broker.policy.snapshot import PolicySnapshot
from broker.storage.unit_of_work import Transaction, UnitOfWork

__all__ = ["Ancestry", "Asked", "DecisionService", "Judgement", "Released", "Wish"]

_DOOR: Final = object()
_NOT_ITS_OWNER: Final = forbidden("in this role only what the own agency owns is looked at")
_NOT_HELD: Final = Reason(
    code=ReasonCode.NOT_HELD,
    owner=None,
    rule=None,
    detail="only what was released to you can go on: name fields, all of them among those that you hold",
)


_OTHER_TERMS: Final = Reason(
    code=ReasonCode.CAVEAT_UNMET,
    owner=None,
    rule=None,
    detail="what permits this today asks for terms that this copy does not carry; a new release carries them",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants done with an item, in the caller's words; nothing of it is believed."""

    recipient: AgencyId
    action: Action
    purpose: PurposeId
    case_id: CaseId | None
    fields: tuple[str, ...] | None
    copy_until: datetime | None = None
    """Of a copy that was made before: when it had to be gone."""
    exigent: Exigency | None = None
    carries: frozenset[str] | None = None
    """Of a copy that was made before: the caveats on it."""


class Released:
    """Content that has passed the door. Only the door makes one, and only on a Permit."""

    __slots__ = ("caveats", "content", "fields", "grants", "holdings", "item", "judgement", "lineage")

    def __init__(
        self, key: object, content: Content, judgement: Judgement, look: Judgement, fields: tuple[str, ...] | None
    ) -> None:
        if key is not _DOOR or not isinstance(judgement.outcome, Permit) or not isinstance(look.outcome, Permit):
            raise TypeError("only the door makes a Released, and only on a Permit")
        self.item = judgement.item
        self.fields = fields
        """What of the item the caller has come to; None for all of it."""
        self.lineage = self.item.lineage.concerning(fields)
        """Whose that is."""
        self.content = content
        self.judgement = judgement
        self.caveats = look.outcome.caveats
        """What the caller is held to."""
        self.grants = look.outcome.grants
        """The grants by which the caller could come to it."""
        self.holdings = look.holdings
        """The releases by which the caller holds it; empty for the component that asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to a wish about an item that the caller may look at. `released` is set on a Permit that was kept."""

    judgement: Judgement
    released: Released | None


@dataclass(frozen=True, slots=True)
class Ancestry:
    """An item that has passed the door, the sources of its parts, and the candidate lists behind it."""

    released: Released
    sources: tuple[tuple[int, Source], ...]
    roots: frozenset[ItemId]
    said: Confirmations


class DecisionService:
    """Asks the gate on what the loader has locked, records the answer, and opens the content on a Permit."""

    def __init__(self, work: UnitOfWork, loader: Loader, holdings: Holdings | None = None) -> None:
        """Without *holdings* nobody holds anything, and only a look opens an item."""
        self._work = work
        self._loader = loader
        self._sight = Sight(loader, holdings or NothingHeld())

    async def view(self, actor: Actor, item_id: str) -> Released | None:
        """The item for the caller's own eyes, or None when there is none that they may know of."""
        async with self._work.begin() as tx:
            released = await self.view_within(tx, actor, item_id, "view")
            if released is not None:
                await hand_out(tx, AgencyId(actor.agency), released.item.id)
            return released

    async def view_within(
        self, tx: Transaction, actor: Actor, item_id: str, channel: Channel, *, copies: bool = False
    ) -> Released | None:
        """The same in the caller's transaction.

        With *copies* what the caller's agency holds by a release opens, too, as far as it was released: for making
        something of it, or asking about it. To look at, it has its copy.
        """
        policy = await self._loader.policy(tx, lock=True)
        stored = await self._known(tx, actor, item_id, policy, channel, lock=True)
        if stored is None:
            return None
        look = await self._sight.look(tx, actor, stored, policy, lock=True, copies=copies)
        judgement = look.judgement
        if not _may_look(actor, stored.item):
            judgement = replace(judgement, outcome=_NOT_ITS_OWNER)
        await record_judgement(tx, actor, judgement, channel)
        if not judgement.outcome:
            return None
        return Released(_DOOR, _limited(stored.open(), look.fields), judgement, judgement, look.fields)

    async def may_look(self, tx: Transaction, actor: Actor, item_id: str) -> bool:
        """Whether the actor may view an item, to tell how much may be said of it. Nothing is handed out or recorded."""
        policy = await self._loader.policy(tx, lock=False)
        stored = await self._known(tx, actor, item_id, policy, None, lock=False)
        if stored is None or not _may_look(actor, stored.item):
            return False
        return bool((await self._sight.look(tx, actor, stored, policy, lock=False, copies=False)).judgement.outcome)

    async def ancestry(self, actor: Actor, item_id: str) -> Ancestry | None:
        """An item for the caller's own eyes, with what it was made of; None as for `view`."""
        async with self._work.begin() as tx:
            return await self.ancestry_within(tx, actor, item_id)

    async def ancestry_within(
        self, tx: Transaction, actor: Actor, item_id: str, *, copies: bool = False
    ) -> Ancestry | None:
        """The same in the caller's transaction; *copies* as for `view_within`."""
        released = await self.view_within(tx, actor, item_id, "view", copies=copies)
        if released is None:
            return None
        sources = await self._loader.sources(tx, released.item.id)
        roots = await self._loader.roots(tx, released.item.id)
        _, said = await self._loader.standing(tx, released.item.id)
        return Ancestry(released, sources, roots, said)

    async def roots(self, tx: Transaction, released: Released) -> frozenset[ItemId]:
        """The candidate lists behind an item that has passed the door."""
        return await self._loader.roots(tx, released.item.id)

    async def standing(self, tx: Transaction, released: Released) -> tuple[ReviewGaps, Confirmations]:
        """How far something that has passed the door may be relied on: its reviews, and what its owners said of it."""
        return await self._loader.standing(tx, released.item.id)

    async def check_words(
        self, tx: Transaction, actor: Actor, readers: Collection[AgencyId], words: Mapping[str, str | None]
    ) -> None:
        """Raise Invalid where free words, by their pointers, repeat information that is not the writer's or its reader's.

        What is said beside an item passes no gate, so it must not carry what would have to. Where several read it,
        what is one's would be told to the others.
        """
        theirs = {actor.agency, *readers} if len(readers) == 1 else {actor.agency}
        for pointer, text in words.items():
            told = await self._loader.owners_told(tx, AgencyId(actor.agency), text) if text else frozenset()
            if told - theirs:
                raise Invalid("this repeats what an owner has let your component have; say it without", pointer)

    async def dry_run(self, actor: Actor, item_id: str, wish: Wish) -> Judgement | None:
        """What would be decided now. Takes no lock and promises nothing; None when the caller may not view the item."""
        async with self._work.begin() as tx:
            asked = await self._ask(tx, actor, item_id, wish, "dry_run", lock=False)
            return None if asked is None else asked.judgement

    async def pass_on(
        self,
        tx: Transaction,
        actor: Actor,
        item_id: str,
        wish: Wish,
        release: ReleaseId,
    ) -> Asked | None:
        """Decide a release in the transaction that makes it; None when the caller may not view the item.

        On a Permit the caller must write the copy, the disclosure and the uses of the grants before committing.
        """
        return await self._ask(tx, actor, item_id, wish, "release", lock=True, release=release)

    async def again(
        self,
        tx: Transaction,
        actor: Actor,
        asker: AgencyId,
        item_id: str,
        wish: Wish,
        release: ReleaseId,
        counted: frozenset[GrantId],
        hops: int = 1,
    ) -> Judgement | None:
        """Decide an earlier release anew, before its copy is handed out or its answer repeated.

        What that release itself counted is not counted against it. None when the item is gone, or when the side that
        made the release may not come any more to what the copy was made of.
        """
        policy = await self._loader.policy(tx, lock=True)
        stored = await self._known(tx, actor, item_id, policy, "package", lock=True)
        if stored is None:
            return None
        # It was made, so its fields led somewhere, and a content never changes.
        question = _wish_question(asker, stored.item, wish, hops, resolved=True)
        if actor.agency != wish.recipient and policy is not None:
            look = await self._sight.look(tx, actor, stored, policy, lock=True, copies=True, then=question)
            seen = look.judgement
            if seen.outcome and not within(wish.fields, look.fields):
                seen = replace(seen, outcome=Deny(reasons=(_NOT_HELD,), missing=()))
            if not seen.outcome:
                await record_judgement(tx, actor, seen, "view")
                return None
        judgement = await self._sight.judge(tx, question, stored, policy, lock=True, counted=counted)
        if isinstance(judgement.outcome, Permit) and not _carried(judgement.outcome, wish):
            judgement = replace(judgement, outcome=Deny(reasons=(_OTHER_TERMS,), missing=()))
        await record_judgement(tx, actor, judgement, "package", release)
        return judgement

    async def _known(
        self,
        tx: Transaction,
        actor: Actor,
        item_id: str,
        policy: PolicySnapshot | None,
        channel: Channel | None,
        *,
        lock: bool,
    ) -> Stored | None:
        """The item, if there is one that the actor may know of. If there is not, that goes on record for the channel."""
        stored = await self._loader.item(tx, item_id, lock=lock)
        if stored is None:
            if channel is not None:
                await record_unknown(tx, actor, channel)
            return None
        withheld = await self._sight.withheld(tx, actor, stored, policy)
        if withheld is None:
            return stored
        if channel is not None:
            await record_judgement(tx, actor, withheld, channel)
        return None

    async def _ask(
        self,
        tx: Transaction,
        actor: Actor,
        item_id: str,
        wish: Wish,
        channel: Channel,
        *,
        lock: bool,
        release: ReleaseId | None = None,
    ) -> Asked | None:
        policy = await self._loader.policy(tx, lock=lock)
        stored = await self._known(tx, actor, item_id, policy, channel, lock=lock)
        if stored is None:
            return None
        asker = AgencyId(actor.agency)
        first = _wish_question(asker, stored.item, wish, 1, resolved=True)
        look = await self._sight.look(tx, actor, stored, policy, lock=lock, copies=True, then=first)
        if not look.judgement.outcome:
            await record_judgement(tx, actor, look.judgement, "view")
            return None
        # Who comes to the item may be told whether a field leads anywhere in what it comes to.
        resolved = wish.fields is None or all_resolve(_limited(stored.open(), look.fields), wish.fields)
        question = _wish_question(asker, stored.item, wish, look.hops + 1, resolved=resolved)
        judgement = await self._sight.judge(
            tx,
            question,
            stored,
            policy,
            lock=lock,
            for_use=lock,
            explain=Explain.WHAT_WAS if look.by_copy else Explain.IN_FULL,
        )
        judgement = replace(judgement, holdings=look.judgement.holdings, outcome=_no_later(judgement.outcome, look))
        if look.fields is not None and not (resolved and within(wish.fields, look.fields)):
            # Whoever holds a part is told nothing of the rest, so this alone and not who else would have to be asked.
            judgement = replace(judgement, outcome=Deny(reasons=(_NOT_HELD,), missing=()))
        await record_judgement(tx, actor, judgement, channel, release)
        if not lock or not judgement.outcome:
            return Asked(judgement, None)
        content = _limited(stored.open(), look.fields)
        return Asked(judgement, Released(_DOOR, content, judgement, look.judgement, look.fields))


def _no_later(outcome: Decision, look: Look) -> Decision:
    """A copy of what somebody holds is to be gone when what they hold has to be."""
    if look.purge_by is None or not isinstance(outcome, Permit):
        return outcome
    return outcome.model_copy(update={"purge_by": min(look.purge_by, outcome.purge_by or look.purge_by)})


def _limited(content: Content, fields: tuple[str, ...] | None) -> Content:
    return content if fields is None else excerpt(content, fields)


def _may_look(actor: Actor, item: Item) -> bool:
    """A release officer answers for the own agency as owner, and looks at nothing else in that capacity."""
    works_cases = not {Role.ANALYST.value, Role.REVIEWER.value}.isdisjoint(actor.roles)
    return works_cases or actor.agency in item.lineage.owners


def _carried(permit: Permit, wish: Wish) -> bool:
    """Whether a copy that was made before carries what it would carry if it were made now."""
    dated = permit.purge_by is None or wish.copy_until is not None
    return dated and (wish.carries is None or set(permit.caveats) <= wish.carries)


def _wish_question(asker: AgencyId, item: Item, wish: Wish, hops: int, *, resolved: bool) -> Question:
    return Question(
        item=item.id,
        kind=item.kind,
        asker=asker,
        recipient=wish.recipient,
        action=wish.action,
        purpose=wish.purpose,
        case_id=wish.case_id,
        fields=wish.fields,
        hops=hops,
        copy_until=wish.copy_until,
        resolved=resolved,
        exigent=wish.exigent,
    )
