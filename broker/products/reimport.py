"""Re-import: a copy that was given out becomes an item again, and keeps every owner it ever had.

What the copy says of itself is not believed. It is recognised by its content, among what the component that brings it
was given; then the item it is a copy of is its source, through the door, like any other. What is not recognised has no
provenance and is not taken in, whatever owners it claims.
"""

import json
from typing import Any

from broker.audit.events import Actor, CallRefused, ItemRecognised
from broker.audit.recorder import record
from broker.decision.service import Released
from broker.items.model import Content, Item, Source
from broker.items.projection import resolve
from broker.items.writer import ItemWriter
from broker.kernel.errors import BrokerError, Conflict, NoProvenance
from broker.kernel.ids import AgencyId, CaseId, ItemId
from broker.kernel.tree import Tree
from broker.kernel.words import ItemKind
from broker.products.derive import NOT_ANY_MORE, DeriveService, Draft, Part
from broker.storage.attempt import attempt
from broker.storage.unit_of_work import Transaction, UnitOfWork

_UNKNOWN = "nothing that your component was given by the broker is recognised in this; name its sources instead"


class ImportService:
    """Takes copies back in."""

    def __init__(self, work: UnitOfWork, derive: DeriveService, items: ItemWriter) -> None:
        self._work = work
        self._derive = derive
        self._items = items

    async def take_in(self, actor: Actor, package: dict[str, Any], case_id: CaseId, purposes: Tree) -> Item:
        """Make an item of a copy. Raises NoProvenance when it is not recognised."""
        async with self._work.begin() as tx:
            sources = await self._sources(tx, AgencyId(actor.agency), package)
            if sources:
                answer = await self._write(tx, actor, sources, case_id, purposes)
            else:
                await record(tx, CallRefused(actor=actor, route="item:import", status=NoProvenance.status))
                answer = NoProvenance(_UNKNOWN)
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def _sources(self, tx: Transaction, component: AgencyId, package: dict[str, Any]) -> tuple[Source, ...]:
        enclosed = package.get("item")
        head = enclosed if isinstance(enclosed, dict) else package
        content = head.get("content")
        if not isinstance(content, dict):
            return ()
        found = await self._items.recognise_content(tx, component, content)
        # Several may say the same, as every "no hit" does. The one that is named is meant, if it is one of them.
        named = tuple(source for source in found if source.item == head.get("id"))
        return named or found

    async def _write(
        self, tx: Transaction, actor: Actor, sources: tuple[Source, ...], case_id: CaseId, purposes: Tree
    ) -> Item | BrokerError:
        whole = Draft(kind=ItemKind.REDACTION, title="-", case_id=case_id, parts=(Part(text="-", sources=sources),))
        opened = await self._derive.open_sources(tx, actor, whole)
        if opened is None:
            return Conflict(NOT_ANY_MORE)
        if any(source.selector is None and opened[source.item].fields is not None for source in sources):
            return Conflict(NOT_ANY_MORE)  # All of it was given once, and a part is all that is still held.
        made = await attempt(tx, self._derive.write(tx, actor, _draft(sources, opened, case_id), opened, purposes))
        if isinstance(made, Item):
            await record(tx, ItemRecognised(actor=actor, item_id=made.id, sources=tuple(sorted(opened))))
        return made


def _draft(sources: tuple[Source, ...], opened: dict[ItemId, Released], case_id: CaseId) -> Draft:
    """What the copy is a copy of, written again: from the item itself, not from what was brought."""
    first = opened[sources[0].item]
    kind, content = first.item.kind, first.content
    whole = all(source.selector is None for source in sources)
    if whole and kind.written:
        parts = _paragraphs(content, sources)
        return Draft(kind=kind, title=content["title"], case_id=case_id, parts=parts)
    # A list comes from a partner alone, and a part is not the whole: what is written again of these is a redaction.
    title = f"Re-import of {'a' if whole else 'a part of a'} {kind.value}"
    parts = _entries(content, sources) if whole else _fields(content, sources)
    return Draft(kind=ItemKind.REDACTION, title=title, case_id=case_id, parts=parts)


def _paragraphs(content: Content, sources: tuple[Source, ...]) -> tuple[Part, ...]:
    items = [source.item for source in sources]
    return tuple(
        Part(text=part["text"], sources=tuple(Source(item=item, selector=f"/parts/{n}") for item in items))
        for n, part in enumerate(content["parts"])
    ) or (Part(text="(empty)", sources=sources),)


def _entries(content: Content, sources: tuple[Source, ...]) -> tuple[Part, ...]:
    if "parts" in content:
        return _paragraphs(content, sources)
    items = [source.item for source in sources]
    return tuple(
        Part(text=_told(one), sources=tuple(Source(item=item, selector=f"/candidates/{n}") for item in items))
        for n, one in enumerate(content["candidates"])
    ) or (Part(text="No candidate.", sources=sources),)


def _fields(content: Content, sources: tuple[Source, ...]) -> tuple[Part, ...]:
    first = sources[0].item
    own = [source.selector for source in sources if source.item == first and source.selector is not None]
    others = tuple(source for source in sources if source.item != first)
    return tuple(
        Part(text=_told(resolve(content, place)), sources=(Source(item=first, selector=place), *others))
        for place in own
    )


def _told(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
