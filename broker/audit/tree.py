"""The Merkle tree of RFC 6962 (section 2.1; RFC 9162 has the same tree), without any storage.

Only complete subtrees are ever stored, as `Node`s: they never change once they are full. The root of a tree of any
size, an inclusion proof and a consistency proof are then put together from a logarithmic number of them. A function
that needs stored nodes takes a `Lookup`; `*_nodes` says beforehand which ones, so that one query can fetch them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias


class Node(NamedTuple):
    """The complete subtree over the 2^level leaves from number·2^level on. Level 0 is a leaf."""

    level: int
    number: int


Lookup: TypeAlias = Callable[[Node], bytes]
Span: TypeAlias = tuple[int, int]
"""Leaves from the first number up to, and without, the second."""

EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(content: bytes) -> bytes:
    """The hash of one leaf. The 0x00 in front keeps a leaf from ever passing for an inner node."""
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two neighbouring subtrees."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over *leaves*, which are leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return fold(frontier.peaks)


def fold(peaks: Sequence[bytes]) -> bytes:
    """The root over *peaks*, the largest first."""
    if not peaks:
        return EMPTY_ROOT
    *rest, root = peaks
    for peak in reversed(rest):
        root = node_hash(peak, root)
    return root


def span_nodes(span: Span) -> Iterator[Node]:
    """The complete subtrees that make up *span*, the largest first; for ``(0, size)`` the peaks of the tree.

    The span begins where a subtree of its own width may begin, as every span in a proof does.
    """
    start, end = span
    while start < end:
        level = (end - start).bit_length() - 1
        yield Node(level, start >> level)
        start += 1 << level


class Frontier:
    """The right edge of a growing tree: its size and peaks, which are all that is needed to go on.

    A leaf may be None where its hash is not known; so then is everything above it.
    """

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self._peaks: list[bytes | None] = list(peaks)

    @property
    def peaks(self) -> list[bytes]:
        """The largest first. A caller that adds unknown leaves asks for `root` instead."""
        return [peak for peak in self._peaks if peak is not None]

    @property
    def root(self) -> bytes | None:
        """The root, or None if a leaf is not known."""
        return None if None in self._peaks else fold(self.peaks)

    def add(self, leaf: bytes | None) -> list[tuple[Node, bytes | None]]:
        """Add one leaf hash, and give the nodes above it that became full by it, the lowest first."""
        hashed, node, full = leaf, Node(0, self.size), []
        while node.number & 1:
            left = self._peaks.pop()
            hashed = None if left is None or hashed is None else node_hash(left, hashed)
            node = Node(node.level + 1, node.number >> 1)
            full.append((node, hashed))
        self._peaks.append(hashed)
        self.size += 1
        return full

    def skip(self, size: int) -> None:
        """Go on as if unknown leaves had been added up to *size*; the time taken does not depend on how many."""
        known = dict(zip(span_nodes((0, self.size)), self._peaks, strict=True))
        self._peaks = [known.get(node) for node in span_nodes((0, size))]
        self.size = size


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The subtrees beside the way from leaf *index* up to the root, the lowest first."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of that size")
    start, end, beside = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((start, middle))
            start = middle
    return beside[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """The subtrees that show a tree of *old* leaves to be the beginning of one of *new*, the lowest first."""
    if not 0 < old <= new:
        raise ValueError("the older tree has at least one leaf and not more than the newer one")
    start, end, beside = 0, new, []
    while end > old:
        middle = start + _split(end - start)
        if old <= middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((start, middle))
            start = middle
    # What is left is whole in both trees. Where it is the older tree itself, the reader has its root already.
    return ([] if start == 0 else [(start, end)]) + beside[::-1]


def proof(spans: Sequence[Span], lookup: Lookup) -> list[bytes]:
    """The hashes of a proof, from the spans that it is made of."""
    return [fold([lookup(node) for node in span_nodes(span)]) for span in spans]


def includes(root: bytes, size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Whether *path* shows that *leaf* is leaf *index* of the tree of *size* leaves under *root*."""
    if not 0 <= index < size or len(path) != len(spans := inclusion_spans(index, size)):
        return False
    for (_, end), beside in zip(spans, path, strict=True):
        leaf = node_hash(beside, leaf) if end <= index else node_hash(leaf, beside)
    return leaf == root


def extends(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether *path* shows that the tree of *new* leaves begins with the tree of *old* leaves."""
    if not 0 < old <= new or len(path) != len(spans := consistency_spans(old, new)):
        return False
    steps = list(zip(spans, path, strict=True))
    older = newer = steps.pop(0)[1] if spans and spans[0][1] == old else old_root
    for (start, _), beside in steps:
        if start < old:
            older, newer = node_hash(beside, older), node_hash(beside, newer)
        else:
            newer = node_hash(newer, beside)
    return older == old_root and newer == new_root


def _split(width: int) -> int:
    """The largest power of two below *width*."""
    return 1 << (width - 1).bit_length() - 1
