"""The tree of RFC 6962, against its published examples, an independent library, and properties."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion

from broker.audit.tree import (
    EMPTY_ROOT,
    Frontier,
    Node,
    consistency_spans,
    extends,
    fold,
    includes,
    inclusion_spans,
    leaf_hash,
    node_hash,
    proof,
    root_of,
    span_nodes,
)

# The examples that the Certificate Transparency project publishes with its implementation of RFC 6962.
PUBLISHED_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
PUBLISHED_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CONSISTENCY_6_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]


class Stored:
    """A tree with its full nodes kept, as the database keeps them."""

    def __init__(self, contents):
        self.leaves = [leaf_hash(content) for content in contents]
        frontier = Frontier()
        self.nodes = {}
        for number, leaf in enumerate(self.leaves):
            self.nodes[Node(0, number)] = leaf
            self.nodes.update(frontier.add(leaf))
        self.root = frontier.root

    def proof(self, spans):
        return proof(spans, self.nodes.__getitem__)


def contents(size):
    return [str(number).encode() for number in range(size)]


def defined_root(leaves):
    """MTH as section 2.1 of RFC 6962 defines it, word by word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(defined_root(leaves[:k]), defined_root(leaves[k:]))


def defined_consistency(old, leaves, known=True):
    """SUBPROOF as section 2.1.2 of RFC 6962 defines it, word by word."""
    if old == len(leaves):
        return [] if known else [defined_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if old <= k:
        return [*defined_consistency(old, leaves[:k], known), defined_root(leaves[k:])]
    return [*defined_consistency(old - k, leaves[k:], False), defined_root(leaves[:k])]


def oracle(size):
    tree = InmemoryTree()
    for content in contents(size):
        tree.append_entry(content)
    return tree


def test_an_empty_tree_has_the_hash_of_nothing():
    assert root_of([]) == Frontier().root == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_published_roots():
    leaves = [leaf_hash(content) for content in PUBLISHED_LEAVES]
    assert [root_of(leaves[: size + 1]).hex() for size in range(8)] == PUBLISHED_ROOTS


def test_published_consistency_proof():
    stored = Stored(PUBLISHED_LEAVES)
    assert [part.hex() for part in stored.proof(consistency_spans(6, 8))] == CONSISTENCY_6_8


@pytest.mark.parametrize("size", range(1, 40))
def test_roots_and_inclusion_proofs_are_those_of_another_library(size):
    stored, other = Stored(contents(size)), oracle(size)
    assert stored.root == other.get_root() == defined_root(stored.leaves)
    for index in range(size):
        path = stored.proof(inclusion_spans(index, size))
        theirs = other.prove_inclusion(index + 1)
        assert path == theirs.path[1:]
        verify_inclusion(stored.leaves[index], stored.root, theirs)
        assert includes(stored.root, size, index, stored.leaves[index], path)


@pytest.mark.parametrize("new", range(1, 40))
def test_consistency_proofs_are_those_of_the_rfc(new):
    stored, other = Stored(contents(new)), oracle(new)
    for old in range(1, new + 1):
        path = stored.proof(consistency_spans(old, new))
        assert path == defined_consistency(old, stored.leaves)
        assert extends(old, other.get_root(old), new, other.get_root(new), path)
        verify_consistency(root_of(stored.leaves[:old]), stored.root, other.prove_consistency(old, new))


@given(st.integers(1, 300), st.data())
def test_a_proof_holds_for_its_own_leaf_and_place_alone(size, data):
    stored = Stored(contents(size))
    index = data.draw(st.integers(0, size - 1))
    path = stored.proof(inclusion_spans(index, size))
    assert includes(stored.root, size, index, stored.leaves[index], path)
    other = data.draw(st.integers(-1, size).filter(lambda number: number != index))
    assert not includes(stored.root, size, other, stored.leaves[index], path)
    assert not includes(stored.root, size, index, leaf_hash(b"another"), path)
    assert not includes(stored.root, size, index, stored.leaves[index], [*path, stored.root])
    if path:
        position = data.draw(st.integers(0, len(path) - 1))
        wrong = [*path[:position], leaf_hash(b"wrong"), *path[position + 1 :]]
        assert not includes(stored.root, size, index, stored.leaves[index], wrong)


@given(st.integers(1, 300), st.integers(0, 300), st.data())
def test_a_rewritten_beginning_is_never_extended(old, more, data):
    new = old + more
    stored = Stored(contents(new))
    path = stored.proof(consistency_spans(old, new))
    old_root = root_of(stored.leaves[:old])
    assert extends(old, old_root, new, stored.root, path)
    rewritten = contents(new)
    rewritten[data.draw(st.integers(0, old - 1))] = b"rewritten"
    changed = Stored(rewritten)
    assert not extends(old, old_root, new, changed.root, changed.proof(consistency_spans(old, new)))
    assert not extends(old, leaf_hash(b"other"), new, stored.root, path)
    assert not extends(old, old_root, new, leaf_hash(b"other"), path)
    assert not extends(old, old_root, new, stored.root, [*path, old_root])


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_frontier_taken_up_again_from_stored_nodes_goes_on_as_before(size, more):
    stored = Stored(contents(size))
    taken_up = Frontier(size, [stored.nodes[node] for node in span_nodes((0, size))])
    assert taken_up.root == stored.root
    for content in contents(size + more)[size:]:
        taken_up.add(leaf_hash(content))
    assert taken_up.root == Stored(contents(size + more)).root


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_skipping_is_adding_unknown_leaves(known, unknown, more):
    skipped, added = Frontier(), Frontier()
    for content in contents(known):
        skipped.add(leaf_hash(content))
        added.add(leaf_hash(content))
    skipped.skip(known + unknown)
    for _ in range(unknown):
        added.add(None)
    for content in contents(more):
        assert skipped.add(leaf_hash(content)) == added.add(leaf_hash(content))
    assert skipped.size == added.size
    assert skipped.root == added.root
    assert (skipped.root is None) == (unknown > 0)


def test_skipping_takes_no_longer_for_a_larger_gap():
    frontier = Frontier()
    frontier.skip(2**62 - 1)
    assert frontier.root is None


@given(st.integers(0, 5000))
def test_peaks_are_ever_smaller_and_cover_the_tree(size):
    peaks = list(span_nodes((0, size)))
    assert sum(1 << node.level for node in peaks) == size
    assert all(left.level > right.level for left, right in pairwise(peaks))


def test_a_leaf_cannot_pass_for_a_node():
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    assert leaf_hash(left + right) != node_hash(left, right) == fold([left, right])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_inclusion_proof_outside_the_tree(index, size):
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_spans(index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 0)])
def test_no_consistency_proof_from_nothing_or_backwards(old, new):
    with pytest.raises(ValueError, match="at least one leaf"):
        consistency_spans(old, new)
    assert not extends(old, EMPTY_ROOT, new, EMPTY_ROOT, [])
