"""Deriving never loses an owner, a caveat, a root or an expiry, whatever the order of the sources."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.provenance.lineage import Lineage, combine
from tests.properties.values import LINEAGES, PER_TEST, caught, lineages

several = st.lists(lineages, max_size=4)


def caveats_of(lineage: Lineage) -> set[tuple[str, str]]:
    return {(marking.owner, code) for marking in lineage.markings for code in marking.caveats}


def test_of_nothing_comes_nothing() -> None:
    empty = combine([])
    assert (empty.markings, empty.roots, empty.expires_at) == ((), frozenset(), None)
    assert empty.owners == frozenset()


@given(several)
@PER_TEST
def test_nothing_is_lost_and_nothing_is_added(sources: list[Lineage]) -> None:
    made = combine(sources)
    assert made.owners == {owner for source in sources for owner in source.owners}
    assert caveats_of(made) == {pair for source in sources for pair in caveats_of(source)}
    assert made.roots == {root for source in sources for root in source.roots}
    expiries = [source.expires_at for source in sources if source.expires_at is not None]
    assert made.expires_at == min(expiries, default=None)
    # What a grant's scope looks at stays with each part.
    kept = {(m.owner, m.case_id, m.source_system, m.asked_by, m.agreement, m.custodian) for m in made.markings}
    assert kept == {
        (m.owner, m.case_id, m.source_system, m.asked_by, m.agreement, m.custodian) for s in sources for m in s.markings
    }


@given(several, st.randoms())
@PER_TEST
def test_order_and_repetition_do_not_matter(sources: list[Lineage], chance) -> None:
    shuffled = [*sources, *sources]
    chance.shuffle(shuffled)
    assert combine(shuffled) == combine(sources)


@given(several, several, several)
@PER_TEST
def test_in_steps_or_at_once_is_the_same(one: list[Lineage], two: list[Lineage], three: list[Lineage]) -> None:
    stepwise = combine([combine([combine(one), combine(two)]), combine(three)])
    assert stepwise == combine([*one, *two, *three])


@given(lineages)
@PER_TEST
def test_combined_once_more_it_stays_as_it_is(source: Lineage) -> None:
    assert combine([combine([source])]) == combine([source])


@given(several)
@PER_TEST
def test_the_number_of_markings_does_not_grow_with_depth(sources: list[Lineage]) -> None:
    made = combine(sources)
    deeper = made
    for _ in range(5):
        deeper = combine([deeper, made, *sources])
    assert deeper == made


def first_parent_only(sources: list[Lineage]) -> Lineage:
    """The traitor: a derived item gets the owners of its first source."""
    return sources[0] if sources else combine([])


def test_traitor_that_takes_the_first_parent_s_owners_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    # This file is imported under a name of pytest's own, so the name that the test looks up is replaced in place.
    monkeypatch.setitem(globals(), "combine", first_parent_only)
    one_source = [([one],) for one in LINEAGES]
    two_sources = [([one, other],) for one, other in pairwise(LINEAGES)]
    assert caught(test_nothing_is_lost_and_nothing_is_added, two_sources)
    # With one source it is right, and so it would pass a test that tries no more.
    assert not caught(test_nothing_is_lost_and_nothing_is_added, one_source)
