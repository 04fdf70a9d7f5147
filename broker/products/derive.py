"""Deriving: something new is written from items, and every owner of every source goes into it for good (R12).

Each source is read through the door by the author. A part without sources is the author's component's own words. A part
that uses one place of a source has the owners of that place; a part that uses the whole has them all.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from broker.audit.events import Actor, ItemDerived, ItemRecognised
from broker.audit.recorder import record
from broker.cases.service import find as find_case
from broker.decision.holding import within
from broker.decision.service import DecisionService, Released
from broker.grants import duties
from broker.grants import repository as grants
from broker.grants.model import Terms
from broker.items.handing_out import hand_out
from broker.items.model import Content, Item, Source
from broker.items.projection import PointerUnresolved, resolve
from broker.items.writer import ItemWriter
from broker.kernel.errors import BrokerError, Conflict, Invalid, NotFound
from broker.kernel.ids import AgencyId, CaseId, ItemId, PurposeId, ReleaseId, Subject, new_id
from broker.kernel.tree import Tree
from broker.kernel.words import ItemKind
from broker.provenance.lineage import Lineage, taken_into, written
from broker.provenance.marking import Marking, mark
from broker.storage.attempt import attempt
from broker.storage.unit_of_work import Transaction, UnitOfWork

NOT_ANY_MORE: Final = (
    "this repeats something that your component was given and may not use any more; ask its owners for permission"
)
_MOST_SOURCES: Final = 200
_LEAST_SOURCES: Final = {ItemKind.REDACTION: 1, ItemKind.COUNT: 1, ItemKind.COMPARISON: 2}
"""A count of nothing is a count of something, too: of the sources in which nothing was found."""
_BESIDE: Final = ("/title", "/left_out")
"""What a written item holds beside its parts; it may tell of all of them."""


class Part(BaseModel):
    """One paragraph, and what it uses."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    text: str
    sources: tuple[Source, ...]


class Draft(BaseModel):
    """What the author wants to write."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: ItemKind
    title: str
    case_id: CaseId
    parts: tuple[Part, ...]
    left_out: tuple[str, ...] = ()
    """What a redaction leaves out, in words."""


class DeriveService:
    """Writes derived items."""

    def __init__(self, work: UnitOfWork, door: DecisionService, items: ItemWriter) -> None:
        self._work = work
        self._door = door
        self._items = items

    async def derive(self, actor: Actor, draft: Draft, purposes: Tree) -> Item:
        """Write *draft*. A source that the author may not view is not found, whether it exists or not."""
        check_form(draft)
        async with self._work.begin() as tx:
            known = await self.recognise(tx, AgencyId(actor.agency), draft)
            sources = await self.open_sources(tx, actor, known)
            # What the door answered is on record and has to stay there, so a refusal is raised after this block.
            # Whoever names a source that they may not view hears nothing else, whatever else is wrong.
            named = any(part.sources for part in draft.parts)
            answer: Item | BrokerError = NotFound() if named else Conflict(NOT_ANY_MORE)
            if sources is not None:
                answer = await attempt(tx, self.write(tx, actor, known, sources, purposes))
                if isinstance(answer, Item) and known != draft:
                    await record(tx, ItemRecognised(actor=actor, item_id=answer.id, sources=_added(draft, known)))
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def recognise(self, tx: Transaction, component: AgencyId, draft: Draft) -> Draft:
        """The draft with the sources that its parts, and what stands beside them, turn out to have.

        They are looked for among what the author's own component was given, so that nobody learns of anything else.
        To name one source beside another owner's words does not make them that source's.
        """
        parts = []
        for n, part in enumerate(draft.parts):
            beside = (draft.title, *draft.left_out) if n == 0 else ()
            found = [one for text in (part.text, *beside) for one in await self._items.recognise(tx, component, text)]
            if len(found) > _MOST_SOURCES:
                raise Invalid("this stands in very many items that your component was given; name the one it is from")
            added = tuple(one for one in dict.fromkeys(found) if not any(map(_holds(one), part.sources)))
            parts.append(part.model_copy(update={"sources": (*part.sources, *added)}))
        return draft.model_copy(update={"parts": tuple(parts)})

    async def open_sources(self, tx: Transaction, actor: Actor, draft: Draft) -> dict[ItemId, Released] | None:
        """Every source through the door, in ascending id as all locks are; None if one of them does not pass."""
        opened = {}
        for item_id in sorted({source.item for part in draft.parts for source in part.sources}):
            released = await self._door.view_within(tx, actor, item_id, "derive", copies=True)
            if released is None:
                return None
            opened[item_id] = released
        return opened

    async def write(
        self, tx: Transaction, actor: Actor, draft: Draft, opened: dict[ItemId, Released], purposes: Tree
    ) -> Item:
        """Write what has been opened for it."""
        component = AgencyId(actor.agency)
        if await find_case(tx, component, draft.case_id) is None:
            raise Invalid("case_id names no case of your component", "/case_id")
        _check_selectors(draft, opened)
        now = await tx.clock()
        lineages = {source: await self._lineage(tx, released) for source, released in opened.items()}
        item = Item(
            id=ItemId(new_id("itm")),
            kind=draft.kind,
            case_id=draft.case_id,
            purpose=_common_purpose([released.item for released in opened.values()], purposes),
            author=Subject(actor.sub),
            component=component,
            search_id=None,
            candidates=0,
            created_at=now,
            lineage=_written_from(draft, lineages, _own_words(component, draft.case_id, now)),
        )
        content = _content(draft, opened, component)
        if draft.kind is ItemKind.REDACTION:
            content["left_out"] = list(draft.left_out)
        await self._items.write(tx, item, content, [part.sources for part in draft.parts])
        # Who has written it knows what it says, whether or not they ever look at it here.
        await hand_out(tx, component, item.id)
        await self._items.rest_on(tx, item.id, _held_under(opened.values()))
        await record(
            tx,
            ItemDerived(
                actor=actor,
                item_id=item.id,
                case_id=item.case_id,
                kind=item.kind.value,
                owners=tuple(sorted(item.lineage.owners)),
                sources=tuple(sorted(opened)),
            ),
        )
        return item

    async def _lineage(self, tx: Transaction, released: Released) -> Lineage:
        roots = await self._door.roots(tx, released)
        markings = released.lineage.markings
        # What was seen or received under a grant is held to that grant's caveats, and so is what is written from it.
        for grant in await grants.fetch(tx, released.grants):
            markings = tuple(_under(one, grant.terms) for one in markings)
        return released.lineage.model_copy(update={"roots": roots, "markings": markings})


def _held_under(opened: Collection[Released]) -> frozenset[ReleaseId]:
    """The releases on which the result rests; none where a part was only seen, under a grant that is about no more."""
    if any(one.grants and not one.holdings for one in opened):
        return frozenset()
    return frozenset(release for one in opened for release in one.holdings)


def check_form(draft: Draft) -> None:
    """What each kind has to name, whoever writes it. Raises Invalid."""
    if draft.kind is ItemKind.CANDIDATE_LIST:
        raise Invalid("a candidate list comes from a partner and cannot be written", "/kind")
    if draft.kind is ItemKind.ACTION_RECORD:
        raise Invalid("what was done on a lead is recorded with POST /v1/items/{id}/actions", "/kind")
    if draft.left_out and draft.kind is not ItemKind.REDACTION:
        raise Invalid("only a redaction leaves something out", "/left_out")
    sources = {source.item for part in draft.parts for source in part.sources}
    least = _LEAST_SOURCES.get(draft.kind, 0)
    if len(sources) < least:
        raise Invalid(f"a {draft.kind.value} names at least {least} item(s) that it is made of", "/parts")


def _own_words(component: AgencyId, case_id: CaseId, now: datetime) -> Lineage:
    """Whose a part without sources is: the author's component's."""
    own = mark(
        owner=component,
        custodian=component,
        source_system=None,
        source_reference=None,
        agreement=None,
        caveats=(),
        asked_by=component,
        case_id=case_id,
        at=now,
    )
    return Lineage(markings=(own,), roots=frozenset())


def _written_from(draft: Draft, sources: Mapping[ItemId, Lineage], own: Lineage) -> Lineage:
    """Whose the item is, part by part: of a source used by a selector, those whom the selector concerns."""
    places = [f"/parts/{number}" for number in range(len(draft.parts))]
    uses: dict[ItemId, list[tuple[str | None, str]]] = defaultdict(list)
    for place, part in zip(places, draft.parts, strict=True):
        for source in part.sources:
            uses[source.item].append((source.selector, place))
    own_parts = [(None, place) for place, part in zip(places, draft.parts, strict=True) if not part.sources]
    taken = [taken_into(lineage, uses[source], _BESIDE) for source, lineage in sources.items()]
    return written([*taken, taken_into(own, own_parts, _BESIDE)], places)


def _holds(one: Source) -> Callable[[Source], bool]:
    """Whether a source that is named is the one that was found, or holds it."""

    def holds(named: Source) -> bool:
        whole = named.selector is None
        return named.item == one.item and (
            whole or (one.selector is not None and within((one.selector,), (named.selector or "",)))
        )

    return holds


def _added(draft: Draft, known: Draft) -> tuple[str, ...]:
    named = {source.item for part in draft.parts for source in part.sources}
    return tuple(sorted({source.item for part in known.parts for source in part.sources} - named))


def _under(marking: Marking, terms: Terms) -> Marking:
    if marking.owner != terms.owner:
        return marking
    caveats = {*marking.caveats, *terms.caveats, *duties.attached(terms.duties)}
    return marking.model_copy(update={"caveats": tuple(sorted(caveats))})


def _check_selectors(draft: Draft, opened: dict[ItemId, Released]) -> None:
    for n, part in enumerate(draft.parts):
        for source in part.sources:
            if source.selector is None:
                continue
            released = opened[source.item]
            if not within((source.selector,), released.fields):
                # Not a word on whether there is such a place in the rest, nor how far a list goes.
                raise Invalid("a selector of this part leads beyond what was released to you", f"/parts/{n}")
            try:
                resolve(released.content, source.selector)
            except PointerUnresolved as fault:
                raise Invalid(f"a selector of this part does not fit its source: {fault}", f"/parts/{n}") from None


def _content(draft: Draft, opened: dict[ItemId, Released], component: AgencyId) -> Content:
    return {
        "title": draft.title,
        "parts": [
            {
                "text": part.text,
                "owners": sorted({o for source in part.sources for o in _owners(opened[source.item], source)})
                or [component],
                "sources": [source.model_dump(mode="json") for source in part.sources],
            }
            for part in draft.parts
        ],
    }


def _owners(released: Released, source: Source) -> frozenset[AgencyId]:
    return released.lineage.concerning(None if source.selector is None else (source.selector,)).owners


def _common_purpose(items: Sequence[Item], purposes: Tree) -> PurposeId | None:
    """The nearest purpose that all sources were obtained under; None when nothing was.

    Sources obtained for purposes without common ground are not written together: nobody could say for which
    purpose the result may be looked at.
    """
    chains = [purposes.chain(item.purpose) for item in items if item.purpose is not None]
    if not chains:
        return None
    shared = [name for name in chains[0] if all(name in chain for chain in chains)]
    if not shared:
        raise Invalid("these sources were obtained for purposes that have nothing in common", "/parts")
    return PurposeId(shared[0])
