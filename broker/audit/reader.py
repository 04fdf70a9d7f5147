"""Reading the audit: entries a page at a time, the newest checkpoint, and proofs for a single entry.

Entries are read newest first, by the time of the act. That suits a person and is not for following the log: an entry
may commit after a later one was shown. Who needs to know that nothing is missing verifies, by `broker.audit.verify`.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Boolean, ColumnElement, and_, cast, literal_column, not_, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import JSONPATH

from broker.audit import leaf, nodes
from broker.audit.checkpoint import Checkpoint
from broker.audit.recorder import check_text
from broker.audit.tables import AuditEntryRow, AuditLeafRow
from broker.audit.tree import Node, Span, consistency_spans, inclusion_spans, proof, span_nodes
from broker.kernel.errors import Conflict, Invalid, NotFound
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

MAX_LIMIT: Final = 500
_ENTRY: Final = table(AuditEntryRow)
_LEAF: Final = table(AuditLeafRow)
WITHHELD: Final = (
    "({entry}.tag = 'decision:gate:made' AND {entry}.detail ->> 'outcome' = 'deny'"
    " AND ({entry}.detail ->> 'action' = 'view' OR {entry}.detail -> 'reasons' @> '[\"not_held\"]')"
    " OR {entry}.tag = 'call:access:refused' AND starts_with({entry}.detail ->> 'route', 'item:'))"
)
"""Looks that were refused, as SQL: only those who see everybody's acts see them.

The caller was told 404, the same for an item that is there and for one that is not; the entries behind the two differ,
and name the item and its owners. So does the entry of a holder that asked for more than it holds: it was told that and
nothing of whose the rest is.
"""
_LEAF_OF: Final = f"""
    SELECT l.index, {leaf.COLUMNS} FROM audit_entry e LEFT JOIN audit_leaf l ON l.entry_id = e.id
    WHERE e.event_id = %(event_id)s
      AND (%(agencies)s::text[] IS NULL OR e.actor_agency = ANY (%(agencies)s) AND NOT {WITHHELD.format(entry="e")})
""".encode()
_STANDING: Final = text("""
    SELECT coalesce(last.size, 0), count(e.id), min(e.at)
    FROM (SELECT 1) AS always
    LEFT JOIN LATERAL (SELECT index + 1 AS size, xact, entry_id FROM audit_leaf ORDER BY index DESC LIMIT 1) AS last
        ON true
    LEFT JOIN audit_entry e ON (e.xact, e.id) > (coalesce(last.xact, CAST('0' AS xid8)), coalesce(last.entry_id, 0))
    GROUP BY last.size
""")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Scope(_Value):
    """Whose acts the reader may see: those of these agencies, without what is `WITHHELD`; everybody's where it is None."""

    agencies: tuple[str, ...] | None


EVERYTHING: Final = Scope(agencies=None)


class Filters(_Value):
    """What is looked for; all that are given must hold. `since` is inclusive, `until` is not."""

    tag: str | None = None
    actor: str | None = None
    subject: str | None = None
    """Any of the ids that an entry is about, whatever its name."""
    since: datetime | None = None
    until: datetime | None = None


class Entry(_Value):
    """One entry as it is shown. `index` is its place in the tree, None while it is pending."""

    event_id: str
    at: datetime
    tag: str
    actor_sub: str
    actor_agency: str
    actor_roles: tuple[str, ...]
    actor_kind: str
    subjects: dict[str, str]
    detail: dict[str, Any]
    index: int | None


class Page(_Value):
    """Some entries, newest first, and the cursor for those that follow, if any do."""

    items: tuple[Entry, ...]
    next: str | None


class InclusionProof(_Value):
    """Shows that an entry is what a checkpoint was signed over; see `broker.audit.tree.includes`."""

    event_id: str
    index: int
    size: int
    leaf: str
    """The bytes that are hashed, which are UTF-8 text: everything that is on record of the act."""
    path: tuple[bytes, ...]
    checkpoint: Checkpoint


class ConsistencyProof(_Value):
    """Shows that the log of `size` leaves begins with that of `old_size`; see `broker.audit.tree.extends`."""

    old_size: int
    size: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint


class Standing(_Value):
    """How far the sequencer has come. A rising age of the oldest pending entry means that it stands still."""

    sequenced: int
    pending: int
    oldest_pending: datetime | None


async def entries(tx: Transaction, scope: Scope, filters: Filters, cursor: str | None, limit: int) -> Page:
    """At most *limit* entries, newest first; *cursor* is `next` of the page before. Raises Invalid for a foreign one."""
    conditions = _conditions(scope, filters)
    if cursor is not None:
        check_text(cursor)
        anchor = (
            await tx.execute(select(_ENTRY.c.at, _ENTRY.c.id).where(_ENTRY.c.event_id == cursor, _within(scope)))
        ).one_or_none()
        if anchor is None:
            raise Invalid("the cursor is not one that was given out", pointer="/cursor")
        conditions.append(tuple_(_ENTRY.c.at, _ENTRY.c.id) < tuple_(anchor.at, anchor.id))
    limit = max(1, min(limit, MAX_LIMIT))
    found = await tx.execute(
        select(*(_ENTRY.c[name] for name in Entry.model_fields if name != "index"), _LEAF.c.index)
        .select_from(_ENTRY.outerjoin(_LEAF, _LEAF.c.entry_id == _ENTRY.c.id))
        .where(*conditions)
        .order_by(_ENTRY.c.at.desc(), _ENTRY.c.id.desc())
        .limit(limit + 1)
    )
    items = tuple(Entry(**{**row, "actor_roles": tuple(row["actor_roles"])}) for row in found.mappings())
    more = len(items) > limit
    return Page(items=items[:limit], next=items[limit - 1].event_id if more else None)


async def latest_checkpoint(tx: Transaction) -> Checkpoint | None:
    """The newest signed head; None before the first entry was sequenced."""
    return await nodes.newest_checkpoint(await tx.driver())


async def inclusion_proof(tx: Transaction, scope: Scope, event_id: str) -> InclusionProof:
    """A proof against the newest checkpoint.

    Raises NotFound for an entry that is not there or not in *scope*, Conflict while it is pending.
    """
    check_text(event_id)
    driver = await tx.driver()
    agencies = None if scope.agencies is None else list(scope.agencies)
    found = await (await driver.execute(_LEAF_OF, {"event_id": event_id, "agencies": agencies})).fetchone()
    if found is None:
        raise NotFound
    index, *entry = found
    checkpoint = await latest_checkpoint(tx)
    if index is None or checkpoint is None or checkpoint.size <= index:
        raise Conflict("the entry is not sequenced yet; ask again in a second")
    return InclusionProof(
        event_id=event_id,
        index=index,
        size=checkpoint.size,
        leaf=leaf.content(entry).decode(),
        path=await _proof(tx, inclusion_spans(index, checkpoint.size)),
        checkpoint=checkpoint,
    )


async def consistency_proof(tx: Transaction, old_size: int) -> ConsistencyProof:
    """A proof from a checkpoint of *old_size* that somebody holds to the newest. Raises Invalid for a size to come."""
    checkpoint = await latest_checkpoint(tx)
    if checkpoint is None or not 0 < old_size <= checkpoint.size:
        raise Invalid("there is no checkpoint of that size yet", pointer="/since")
    return ConsistencyProof(
        old_size=old_size,
        size=checkpoint.size,
        path=await _proof(tx, consistency_spans(old_size, checkpoint.size)),
        checkpoint=checkpoint,
    )


async def standing(tx: Transaction) -> Standing:
    """Counts what is sequenced and what is pending; the cost grows with the pending entries only."""
    sequenced, pending, oldest = tuple((await tx.execute(_STANDING)).one())
    return Standing(sequenced=sequenced, pending=pending, oldest_pending=oldest)


async def _proof(tx: Transaction, spans: Sequence[Span]) -> tuple[bytes, ...]:
    wanted: list[Node] = [node for span in spans for node in span_nodes(span)]
    stored = await nodes.fetch(await tx.driver(), wanted)
    if len(stored) != len(wanted):
        raise nodes.TreeBroken("a node that a proof needs is not stored")
    return tuple(proof(spans, stored.__getitem__))


def _within(scope: Scope) -> ColumnElement[bool]:
    if scope.agencies is None:
        return true()
    withheld = literal_column(WITHHELD.format(entry="audit_entry"), Boolean)
    return and_(_ENTRY.c.actor_agency.in_(scope.agencies), not_(withheld))


def _conditions(scope: Scope, filters: Filters) -> list[ColumnElement[bool]]:
    for given in (filters.tag, filters.actor, filters.subject):
        check_text(given or "")
    conditions = [_within(scope)]
    if filters.tag is not None:
        conditions.append(_ENTRY.c.tag == filters.tag)
    if filters.actor is not None:
        conditions.append(_ENTRY.c.actor_sub == filters.actor)
    if filters.subject is not None:
        # A JSON string is a string of the path language as it stands, so nothing in it can end the string early.
        path = "$.* == " + json.dumps(filters.subject, ensure_ascii=False)
        conditions.append(_ENTRY.c.subjects.op("@@", is_comparison=True)(cast(path, JSONPATH)))
    if filters.since is not None:
        conditions.append(_ENTRY.c.at >= filters.since)
    if filters.until is not None:
        conditions.append(_ENTRY.c.at < filters.until)
    return conditions
