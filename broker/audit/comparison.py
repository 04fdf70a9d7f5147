"""The judgement of `broker.audit.verify`, without any I/O: fed with what is stored, in order, it collects the faults.

The order is that of growth: a leaf, then the nodes that it makes full, then the checkpoint that was signed after it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from broker.audit import leaf
from broker.audit.checkpoint import Checkpoint, PublicKey, verify_checkpoint
from broker.audit.report import Fault, FaultKind
from broker.audit.tree import Frontier, Node


class StoredLeaf(NamedTuple):
    """A leaf as stored, with the entry that it is about, read with `leaf.COLUMNS`, or None if that is gone."""

    number: int
    entry_id: int
    xact: str
    hashed: bytes
    entry: Sequence[Any] | None


class StoredNode(NamedTuple):
    """A complete subtree as stored."""

    node: Node
    hashed: bytes

    @property
    def end(self) -> int:
        """Size of the tree at which it became full."""
        return (self.node.number + 1) << self.node.level


class Comparison:
    """Compares the stored log of *size* leaves with what its entries say, and with what was signed."""

    def __init__(self, size: int, public_keys: Sequence[PublicKey]) -> None:
        self.faults: list[Fault] = []
        self.entries = 0
        """Entries met so far."""
        self.sequenced: tuple[str, int] = ("0", 0)
        """Transaction and id of the last entry that a good signature covers: nothing unsequenced may lie before."""
        self._size = size
        self._keys = public_keys
        self._computed = Frontier()  # The tree over the entries as they are now.
        self._stored = Frontier()  # The tree over the leaves as they are stored.
        self._expected: dict[Node, tuple[bytes | None, bytes | None]] = {}
        self._last: tuple[str, int] = ("0", 0)
        self._signed = 0  # Size of the last checkpoint met,
        self._stretch = Frontier()  # the tree over the entries since then, by itself,
        self._stretch_faults = 0  # and how many faults were known then.
        self._whole = True  # Whether the entries so far were found to be those that were signed.

    def leaf(self, row: StoredLeaf) -> None:
        """The next leaf."""
        self._nodes_must_be_done()
        if row.number < self._computed.size:
            self._fault(FaultKind.LEAF_UNEXPECTED, "there is a leaf too many in this place", row.number, row=row)
            return
        if row.number > self._computed.size:
            self._gap(row.number)
        computed = self._compute(row)
        above = zip(self._computed.add(computed), self._stored.add(row.hashed), strict=True)
        self._expected = {node: (over_entries, over_leaves) for (node, over_entries), (_, over_leaves) in above}
        self._stretch.add(computed)

    def node(self, stored: StoredNode) -> None:
        """The next stored node. A node that reaches past the leaves met lies over a gap, which will be reported."""
        if stored.end > self._computed.size:
            return
        over = self._expected.pop(stored.node, None)
        if over is None:
            self._node_fault(FaultKind.NODE_UNEXPECTED, stored.node, "nothing belongs there")
        elif None not in over and stored.hashed not in over:
            self._node_fault(
                FaultKind.NODE_WRONG, stored.node, "it is the hash neither of its leaves nor of its entries"
            )

    def checkpoint(self, found: Checkpoint) -> None:
        """The next stored checkpoint."""
        stretch = (self._signed, found.size - 1)
        signed = verify_checkpoint(found, self._keys)
        if not signed:
            detail = f"the checkpoint of size {found.size} is not signed by a known key"
            self._fault(FaultKind.CHECKPOINT_SIGNATURE, detail, *stretch)
        if found.size > self._size:
            detail = f"{found.size} leaves were signed and {self._size} are there: the end of the log is gone"
            self._fault(FaultKind.CHECKPOINT_BEYOND, detail, self._size, found.size - 1)
            return
        if signed:
            self.sequenced = self._last
        if found.since == self._signed:
            self._check_stretch(found, stretch, signed=signed)
        else:
            detail = f"the checkpoint of size {found.size} follows on one of size {found.since}, which is not there"
            self._fault(FaultKind.CHECKPOINT_MISSING, detail, *stretch)
        if self._whole and self._computed_root(found.size) != found.root:
            self._mismatch(found, stretch)
        self._signed, self._stretch, self._stretch_faults = found.size, Frontier(), len(self.faults)

    def held(self, held: Checkpoint) -> None:
        """The checkpoint that was kept outside, when the leaves that it covers have been met."""
        if not verify_checkpoint(held, self._keys):
            self._fault(FaultKind.HELD_SIGNATURE, "the held checkpoint is not signed by a known key")
        if held.size > self._size:
            detail = f"the held checkpoint covers {held.size} leaves and {self._size} are there: the log was cut off"
            self._fault(FaultKind.HELD_BEYOND, detail, self._size, held.size - 1)
        elif self._computed_root(held.size) != held.root:
            detail = f"the first {held.size} entries are not those that the held checkpoint was signed over"
            self._fault(FaultKind.HELD_MISMATCH, detail, 0, held.size - 1)

    def end(self) -> None:
        """After the last leaf, node and checkpoint."""
        self._nodes_must_be_done()
        if self._signed < self._size:
            detail = "no checkpoint covers these leaves"
            self._fault(FaultKind.LEAF_UNSIGNED, detail, self._signed, self._size - 1)

    def impossible_node(self, node: Node) -> None:
        """A stored node that no log of this size can have."""
        self._node_fault(FaultKind.NODE_UNEXPECTED, node, "a log of this size has no such node")

    def slipped_in(self, entry_id: int, event_id: str | None) -> None:
        """An entry without a leaf that claims a place which the sequencer has long passed."""
        detail = "the entry claims a transaction that was sequenced before, and has no leaf"
        self.faults.append(Fault(kind=FaultKind.ENTRY_SLIPPED_IN, entry_id=entry_id, event_id=event_id, detail=detail))

    def _compute(self, row: StoredLeaf) -> bytes:
        self._last = (row.xact, row.entry_id)
        if row.entry is None:
            self._fault(FaultKind.ENTRY_MISSING, "there is no entry for this leaf", row.number, row=row)
            return row.hashed
        self.entries += 1
        computed = leaf.hash_of(row.entry)
        xact = row.entry[-1]
        if computed != row.hashed:
            self._fault(FaultKind.ENTRY_ALTERED, "the entry's columns do not give its leaf", row.number, row=row)
        elif xact != row.xact:
            detail = f"the leaf says transaction {row.xact}, its entry {xact}"
            self._fault(FaultKind.LEAF_ALTERED, detail, row.number, row=row)
        return computed

    def _gap(self, until: int) -> None:
        start = self._computed.size
        self._fault(FaultKind.LEAF_MISSING, "there are no leaves in these places", start, until - 1)
        self._computed.skip(until)
        self._stored.skip(until)
        self._stretch.skip(max(until - self._signed, 0))

    def _check_stretch(self, found: Checkpoint, stretch: tuple[int, int], *, signed: bool) -> None:
        if self._computed.size != found.size or self._stretch.root != found.since_root:
            self._mismatch(found, stretch)
        elif signed:
            # The entries since the last checkpoint are what was signed. What differs from them is the stored leaf.
            for position in range(self._stretch_faults, len(self.faults)):
                fault = self.faults[position]
                if fault.kind is FaultKind.ENTRY_ALTERED:
                    detail = "the stored leaf is wrong; the entry is as it was signed"
                    update = {"kind": FaultKind.LEAF_ALTERED, "detail": detail}
                    self.faults[position] = fault.model_copy(update=update)

    def _computed_root(self, size: int) -> bytes | None:
        return self._computed.root if self._computed.size == size else None

    def _mismatch(self, found: Checkpoint, stretch: tuple[int, int]) -> None:
        self._whole = False
        detail = f"the entries are not those over which the checkpoint of size {found.size} was signed"
        self._fault(FaultKind.CHECKPOINT_MISMATCH, detail, *stretch)

    def _nodes_must_be_done(self) -> None:
        for node in self._expected:
            self._node_fault(FaultKind.NODE_MISSING, node, "it is not stored")
        self._expected = {}

    def _node_fault(self, kind: FaultKind, node: Node, detail: str) -> None:
        first = node.number << node.level if node.level >= 0 else node.number
        self._fault(kind, f"node {node.number} of level {node.level}: {detail}", first)

    def _fault(
        self,
        kind: FaultKind,
        detail: str,
        first: int | None = None,
        last: int | None = None,
        *,
        row: StoredLeaf | None = None,
    ) -> None:
        self.faults.append(
            Fault(
                kind=kind,
                index=first,
                last_index=last,
                entry_id=row.entry_id if row else None,
                event_id=row.entry[1] if row and row.entry else None,
                detail=detail,
            )
        )
