"""Puts committed entries into the tree, within about a second, and signs a checkpoint over them.

Why no entry is ever passed over. An entry's `id` comes from a sequence, so a transaction may commit a smaller id after
a larger one has long been seen: order by id alone loses rows. Each entry therefore carries `xact`, the id of its
transaction, which PostgreSQL gives out and publishes as running in one step. `pg_snapshot_xmin` is the oldest
transaction still running. Every transaction below it has ended, so all its entries are visible or never will be; every
transaction yet to come is at or above it. So entries are taken in the order (xact, id) up to that horizon, and
whatever is found later is greater than whatever has been taken. The last pair taken is therefore all that has to be
remembered, and an index on (xact, id) finds what comes next however long the log is.

What that costs: one transaction that has written something and does not end holds the horizon back, for entries of
all later transactions, also when it runs in another database of the same server. Nothing is lost or reordered by it;
entries stay `pending` until it ends. Reading transactions hold nothing back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from broker.audit import leaf, nodes
from broker.audit.checkpoint import Checkpoint, Signer, verify_checkpoint
from broker.audit.tree import Frontier, Node, fold, root_of, span_nodes
from broker.storage.unit_of_work import UnitOfWork

BATCH: Final = 2_000
"""Entries under one checkpoint at most, so that a backlog is worked off in transactions of bounded size."""

_LEADER: Final = int.from_bytes(b"audit", "big")
"""Names the lock, one for each database."""
_LEAD: Final = b"SELECT pg_try_advisory_xact_lock(%s)"
_LAST_LEAF: Final = b"""
    SELECT index + 1, xact::text, entry_id, xact >= pg_snapshot_xmax(pg_current_snapshot())
    FROM audit_leaf ORDER BY index DESC LIMIT 1
"""
_DUE: Final = f"""
    SELECT {leaf.COLUMNS} FROM audit_entry e
    WHERE (e.xact, e.id) > (CAST(%(xact)s::text AS xid8), %(entry)s::int8)
        AND e.xact < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY e.xact, e.id LIMIT %(batch)s
""".encode()
_CLOCK: Final = b"SELECT extract(epoch FROM clock_timestamp())::text"
_ADD_CHECKPOINT: Final = b"""
    INSERT INTO audit_checkpoint (size, root, since, since_root, at, key_id, signature)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Head:
    """How far the tree has come."""

    size: int
    peaks: list[bytes]
    xact: str
    entry_id: int


_NOTHING: Final = _Head(size=0, peaks=[], xact="0", entry_id=0)


async def sequence_once(work: UnitOfWork, signer: Signer, *, batch: int = BATCH) -> int:
    """Sequence up to *batch* committed entries under one new checkpoint, and give how many.

    0 when nothing is due or another process is at it. Raises nodes.TreeBroken rather than sign over a tampered tree.
    """
    async with work.begin() as tx:
        driver = await tx.driver()
        # 1. One leader. The lock goes with the transaction, so a process that dies cannot keep it. Statements after
        #    this one see all that the leader before has committed (READ COMMITTED).
        if not await _one(driver, _LEAD, (_LEADER,)):
            return 0
        # 2. Where we are, and whether it is what was signed.
        head = await _head(driver, signer)
        # 3. What has been committed since, in the order that loses nothing.
        found = await driver.execute(_DUE, {"xact": head.xact, "entry": head.entry_id, "batch": batch})
        rows = await found.fetchall()
        # 4. Leaves, nodes and checkpoint together: there is never a leaf that no checkpoint covers.
        if rows:
            await _extend(driver, signer, head, rows)
    return len(rows)


async def run_sequencer(work: UnitOfWork, signer: Signer, *, every: float = 0.5) -> None:
    """Sequence for ever, every *every* seconds and at once while there is a backlog; ends when it is cancelled.

    A failure is logged as an error and tried again, later each time, up to a minute: entries wait as `pending`.
    """
    failures = 0
    while True:
        pause = every
        try:
            if await sequence_once(work, signer) == BATCH:
                pause = 0
            failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it was, entries must go on being sequenced
            failures += 1
            pause = min(60.0, every * 2**failures)
            _log.exception("audit.sequencer.failed", error=type(error).__name__, failures=failures)
        await asyncio.sleep(pause)


async def _head(driver: nodes.Driver, signer: Signer) -> _Head:
    checkpoint = await nodes.newest_checkpoint(driver)
    last = await (await driver.execute(_LAST_LEAF)).fetchone()
    if checkpoint is None and last is None:
        return _NOTHING
    if checkpoint is None or last is None:
        raise nodes.TreeBroken("there are leaves without a checkpoint, or a checkpoint without leaves")
    size, xact, entry_id, from_the_future = last
    if size != checkpoint.size:
        raise nodes.TreeBroken(f"{size} leaves are stored, and {checkpoint.size} were signed")
    if not verify_checkpoint(checkpoint, signer.public_keys):
        raise nodes.TreeBroken("the last checkpoint is not signed by this service's key or an earlier one of it")
    wanted = list(span_nodes((0, size)))
    stored = await nodes.fetch(driver, wanted)
    peaks = [stored.get(node, b"") for node in wanted]
    if fold(peaks) != checkpoint.root:
        raise nodes.TreeBroken("the stored nodes do not give the root that was signed")
    if from_the_future:
        raise nodes.TreeBroken(
            "the last entry's transaction has not happened yet in this database server: the log was restored into a"
            " younger one; see docs/audit.md, 'Restoring'"
        )
    return _Head(size, peaks, xact, entry_id)


async def _extend(driver: nodes.Driver, signer: Signer, head: _Head, rows: Sequence[Sequence[Any]]) -> None:
    frontier = Frontier(head.size, head.peaks)
    leaves: list[tuple[int, int, str, bytes]] = []
    full: list[tuple[Node, bytes]] = []
    for row in rows:
        hashed = leaf.hash_of(row)
        leaves.append((frontier.size, row[0], row[-1], hashed))
        full += ((node, above) for node, above in frontier.add(hashed) if above is not None)
    await nodes.add(driver, leaves, full)
    epoch = await _one(driver, _CLOCK)
    checkpoint = signer.sign(
        Checkpoint(
            size=frontier.size,
            root=fold(frontier.peaks),
            since=head.size,
            since_root=root_of(hashed for *_, hashed in leaves),
            at=leaf.moment(epoch),
        )
    )
    await driver.execute(
        _ADD_CHECKPOINT,
        (
            checkpoint.size,
            checkpoint.root,
            checkpoint.since,
            checkpoint.since_root,
            checkpoint.at,
            checkpoint.key_id,
            checkpoint.signature,
        ),
    )


async def _one(driver: nodes.Driver, statement: bytes, parameters: Sequence[Any] | None = None) -> Any:
    row = await (await driver.execute(statement, parameters)).fetchone()
    return None if row is None else row[0]
