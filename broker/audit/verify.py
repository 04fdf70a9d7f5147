"""Checks the whole log against itself, against its signatures, and against a checkpoint that somebody held.

Everything is computed anew from the entries; what is stored of the tree is only ever compared. One pass over entries,
nodes and checkpoints side by side, each through a cursor, so the memory taken does not grow with the log. It never
stops at the first fault, and a tampered value makes a fault, not an exception.

Somebody who can write the database but not the signing key cannot hide anything that a checkpoint covers. Somebody
who has the key too is caught by a held checkpoint, and by nothing else; so is cutting off the end of the log.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from typing import Any, Final, TypeAlias, assert_never

from psycopg import IsolationLevel

from broker.audit import leaf
from broker.audit.checkpoint import ROW, Checkpoint, PublicKey
from broker.audit.comparison import Comparison, StoredLeaf, StoredNode
from broker.audit.nodes import Driver
from broker.audit.report import Report
from broker.audit.tree import Node

_FETCH: Final = 2_000
"""Rows that are held at a time, from each of the cursors."""
_HIGHEST_LEVEL: Final = 62

_LEAVES: Final = f"""
    SELECT l.index, l.entry_id, l.xact::text, l.leaf_hash, {leaf.COLUMNS}
    FROM audit_leaf l LEFT JOIN audit_entry e ON e.id = l.entry_id ORDER BY l.index
"""
_SIZE: Final = b"SELECT max(index) FROM audit_leaf"
_POSSIBLE: Final = "level BETWEEN 1 AND %(highest)s AND index >= 0 AND index < (%(size)s::int8 >> level::int4)"
# In the order in which they become full while leaves are added.
_NODES: Final = f"""
    SELECT level, index, hash FROM audit_node WHERE {_POSSIBLE} ORDER BY (index + 1) << level::int4, level
"""
_IMPOSSIBLE: Final = f"SELECT level, index FROM audit_node WHERE NOT ({_POSSIBLE}) ORDER BY level, index"
_CHECKPOINTS: Final = f"SELECT {ROW} FROM audit_checkpoint ORDER BY size"
_WITHOUT_LEAF: Final = """
    SELECT e.id, e.event_id, (e.xact, e.id) <= (CAST(%(xact)s::text AS xid8), %(entry)s::int8)
    FROM audit_entry e WHERE NOT EXISTS (SELECT FROM audit_leaf l WHERE l.entry_id = e.id) ORDER BY e.id
"""


@dataclass(frozen=True)
class Held:
    """The checkpoint that was kept outside, as one of the things that are compared."""

    checkpoint: Checkpoint


Stored: TypeAlias = StoredLeaf | StoredNode | Checkpoint | Held
Place: TypeAlias = tuple[int, int, int]
Stream: TypeAlias = AsyncGenerator[tuple[Place, Stored], None]


async def verify(connection: Driver, public_keys: Sequence[PublicKey], held: Checkpoint | None = None) -> Report:
    """Verify the log in the database of *connection*, with a checkpoint that was kept outside it if there is one.

    *connection* reads one snapshot (REPEATABLE READ or SERIALIZABLE), so that a running service does not look like a
    fault; ValueError otherwise. It needs to be able to read the audit's tables, and nothing else.
    """
    if connection.isolation_level not in (IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE):
        raise ValueError("a verification needs one snapshot: set the isolation level to REPEATABLE READ")
    highest = await (await connection.execute(_SIZE)).fetchone()
    size = max(0, highest[0] + 1) if highest and highest[0] is not None else 0
    comparison = Comparison(size, public_keys)
    limits = {"highest": _HIGHEST_LEVEL, "size": min(size, 1 << _HIGHEST_LEVEL)}
    streams = [_leaves(connection), _nodes(connection, limits), _checkpoints(connection)]
    if held is not None:
        streams.append(_once(held))
    async with AsyncExitStack() as opened:
        for stream in streams:
            opened.push_async_callback(stream.aclose)
        async for stored in _merged(streams):
            _compare(comparison, stored)
    comparison.end()
    async for level, number in _rows(connection, "audit_impossible", _IMPOSSIBLE, limits):
        comparison.impossible_node(Node(level, number))
    pending = await _without_leaf(connection, comparison)
    entries = comparison.entries + pending
    return Report(entries=entries, pending=pending, faults=tuple(comparison.faults))


def _compare(comparison: Comparison, stored: Stored) -> None:
    match stored:
        case StoredLeaf():
            comparison.leaf(stored)
        case StoredNode():
            comparison.node(stored)
        case Checkpoint():
            comparison.checkpoint(stored)
        case Held():
            comparison.held(stored.checkpoint)
        case _:
            assert_never(stored)


async def _without_leaf(connection: Driver, comparison: Comparison) -> int:
    xact, entry_id = comparison.sequenced
    last = {"xact": xact, "entry": entry_id}
    pending = 0
    async for entry, event_id, passed in _rows(connection, "audit_without_leaf", _WITHOUT_LEAF, last):
        if passed:
            comparison.slipped_in(entry, event_id)
        else:
            pending += 1
    return pending


# Each stream says where its rows belong in the growth of the log: (size of the tree then, kind, level).


async def _leaves(connection: Driver) -> Stream:
    async for number, entry_id, xact, hashed, *entry in _rows(connection, "audit_leaves", _LEAVES):
        found = None if entry[0] is None else entry
        yield (number + 1, 0, 0), StoredLeaf(number, entry_id, xact, hashed, found)


async def _nodes(connection: Driver, limits: Mapping[str, Any]) -> Stream:
    async for level, number, hashed in _rows(connection, "audit_nodes", _NODES, limits):
        stored = StoredNode(Node(level, number), hashed)
        yield (stored.end, 1, level), stored


async def _checkpoints(connection: Driver) -> Stream:
    async for row in _rows(connection, "audit_checkpoints", _CHECKPOINTS):
        checkpoint = Checkpoint.of_row(row)
        yield (checkpoint.size, 2, 0), checkpoint


async def _once(held: Checkpoint) -> Stream:
    yield (held.size, 3, 0), Held(held)


async def _merged(streams: Sequence[Stream]) -> AsyncIterator[Stored]:
    heads: list[tuple[Place, int, Stored]] = []
    for number, stream in enumerate(streams):
        async for place, stored in stream:
            heappush(heads, (place, number, stored))
            break
    while heads:
        _, number, stored = heads[0]
        yield stored
        async for following in streams[number]:
            heapreplace(heads, (following[0], number, following[1]))
            break
        else:
            heappop(heads)


async def _rows(
    connection: Driver, name: str, query: str, parameters: Mapping[str, Any] | None = None
) -> AsyncIterator[tuple[Any, ...]]:
    async with connection.cursor(name) as cursor:
        cursor.itersize = _FETCH
        await cursor.execute(query.encode(), parameters)
        async for row in cursor:
            yield row
