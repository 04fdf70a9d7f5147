"""The tree as it is stored: its newest checkpoint, its leaves and its complete subtrees, fetched and added."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import psycopg

from broker.audit.checkpoint import ROW, Checkpoint
from broker.audit.tree import Node
from broker.kernel.errors import BrokerError

_FETCH: Final = b"""
    SELECT level, index, hash FROM audit_node JOIN unnest(%(levels)s::int2[], %(numbers)s::int8[])
        AS wanted (level, index) USING (level, index)
    UNION ALL
    SELECT 0, index, leaf_hash FROM audit_leaf WHERE index = ANY (%(leaves)s::int8[])
"""
_NEWEST: Final = f"SELECT {ROW} FROM audit_checkpoint ORDER BY size DESC LIMIT 1".encode()
_ADD_LEAVES: Final = b"""
    INSERT INTO audit_leaf (index, entry_id, xact, leaf_hash)
    SELECT index, entry_id, xact::xid8, leaf_hash
    FROM unnest(%s::int8[], %s::int8[], %s::text[], %s::bytea[]) AS new (index, entry_id, xact, leaf_hash)
"""
_ADD_NODES: Final = b"""
    INSERT INTO audit_node (level, index, hash) SELECT * FROM unnest(%s::int2[], %s::int8[], %s::bytea[])
"""


Driver: TypeAlias = "psycopg.AsyncConnection[Any]"


class TreeBroken(BrokerError):
    """The stored tree does not agree with what was signed last. Nothing more is signed until somebody has looked."""

    slug, status, title = "audit-broken", 500, "The audit's tree is not as it was signed"


async def newest_checkpoint(driver: Driver) -> Checkpoint | None:
    """The last signed head; None before anything was sequenced."""
    row = await (await driver.execute(_NEWEST)).fetchone()
    return None if row is None else Checkpoint.of_row(row)


async def fetch(driver: Driver, wanted: Iterable[Node]) -> dict[Node, bytes]:
    """Those of the *wanted* nodes that are stored, in one round trip."""
    above: list[Node] = []
    leaves: list[int] = []
    for node in wanted:
        if node.level:
            above.append(node)
        else:
            leaves.append(node.number)
    found = await driver.execute(
        _FETCH,
        {"levels": [node.level for node in above], "numbers": [node.number for node in above], "leaves": leaves},
    )
    return {Node(level, number): stored async for level, number, stored in found}


async def add(
    driver: Driver,
    leaves: Sequence[tuple[int, int, str, bytes]],
    nodes: Sequence[tuple[Node, bytes]],
) -> None:
    """Store leaves (index, entry, its transaction, hash) and the nodes that became full by them."""
    await driver.execute(_ADD_LEAVES, [list(column) for column in zip(*leaves, strict=True)])
    await driver.execute(
        _ADD_NODES,
        [[node.level for node, _ in nodes], [node.number for node, _ in nodes], [stored for _, stored in nodes]],
    )
