"""What is made of a place has every owner of that place, and who asks for a place asks all of them."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.provenance.lineage import Lineage, taken_into, written
from broker.provenance.marking import Marking
from broker.provenance.selection import outermost, reaches, touch, unite
from tests.properties.values import ASKED, FIELDS, LINEAGES, PER_TEST, lineages
from tests.support.permission import marking

PLACES = ["/parts/0", "/parts/1", "/parts/2"]
TITLE = "/title"
places = st.sampled_from(FIELDS)
selections = st.none() | st.sets(places, min_size=1, max_size=3).map(outermost)
uses = st.lists(st.tuples(st.none() | st.sampled_from(ASKED), st.sampled_from(PLACES)), min_size=1, max_size=5)


def identity(one: Marking) -> tuple[Any, ...]:
    return (one.owner, one.custodian, one.source_system, one.agreement, one.asked_by, one.case_id)


@pytest.mark.parametrize(
    ("one", "other", "does"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a/b", "/a", True),
        ("/a", "/ab", False),
        ("/a/1", "/a/10", False),
        ("/a/b", "/a/c", False),
    ],
)
def test_places_touch_by_their_names(one: str, other: str, *, does: bool) -> None:
    assert touch(one, other) is does


@pytest.mark.parametrize("field", ["", "title", "/parts/~2", "~", " /title"])
def test_what_is_no_pointer_reaches_everything(field: str) -> None:
    assert reaches(("/elsewhere",), field)


@pytest.mark.parametrize("none", [(), ("",), ("title",), ("/a", "/~")])
def test_a_marking_about_no_place_is_none(none: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="at least one place"):
        marking("DOS", selectors=none)


@given(selections, selections, places)
@PER_TEST
def test_united_they_reach_what_each_of_them_reached(one: Any, other: Any, field: str) -> None:
    assert reaches(unite(one, other), field) is (reaches(one, field) or reaches(other, field))


@given(lineages, st.lists(st.sampled_from(ASKED), max_size=3))
@PER_TEST
def test_who_asks_for_fields_asks_everybody_whom_one_of_them_concerns(source: Lineage, fields: list[str]) -> None:
    asked = source.concerning(fields)
    concerned = {m for m, field in product(source.markings, fields) if reaches(m.selectors, field)}
    assert concerned <= set(asked.markings) <= set(source.markings)
    # And nobody can ask for something and ask no one.
    assert asked.markings
    if not fields:
        assert asked == source


@given(lineages, uses)
@PER_TEST
def test_a_part_has_every_owner_of_what_it_uses(source: Lineage, used: list[tuple[str | None, str]]) -> None:
    made = written([taken_into(source, used, [TITLE])], PLACES)
    for selector, place in used:
        concerned = source.concerning(None if selector is None else [selector])
        for field in (place, f"{place}/text", TITLE, "/parts", "/nothing-known"):
            kept = made.concerning([field])
            assert {identity(m) for m in concerned.markings} <= {identity(m) for m in kept.markings}
            codes = {(m.owner, code) for m in concerned.markings for code in m.caveats}
            assert codes <= {(m.owner, code) for m in kept.markings for code in m.caveats}
    # A question for the whole asks everybody of whom something went in, and nobody else's is in it.
    went_in = [source.concerning(None if selector is None else [selector]) for selector, _ in used]
    assert made.owners == {owner for one in went_in for owner in one.owners}
    assert (made.roots, made.expires_at) == (source.roots, source.expires_at)


@given(lineages, lineages, uses, uses)
@PER_TEST
def test_from_several_sources_nobody_is_lost_in_any_part(
    one: Lineage, other: Lineage, first: list[tuple[str | None, str]], second: list[tuple[str | None, str]]
) -> None:
    made = written([taken_into(one, first, [TITLE]), taken_into(other, second, [TITLE])], PLACES)
    for source, used in ((one, first), (other, second)):
        for selector, place in used:
            assert (
                source.concerning([selector] if selector is not None else None).owners
                <= made.concerning([place]).owners
            )
    # What is made of that, without saying which part, has everybody.
    again = written([taken_into(made, [(None, "/parts/0")], [TITLE])], ["/parts/0"])
    assert again.owners == made.owners
    assert all(m.selectors is None for m in again.markings)


def loses_an_owner(examples: list[Any]) -> bool:
    """Whether the property above fails on one of the examples."""
    for example in examples:
        try:
            test_a_part_has_every_owner_of_what_it_uses.hypothesis.inner_test(*example)
        except AssertionError:
            return True
    return False


def test_traitor_that_ignores_the_selectors_of_other_parts_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part is taken to use the place that the first one names."""
    honest = taken_into

    def first_selector_only(source: Lineage, used: Any, beside: Any) -> Lineage:
        return honest(source, [(used[0][0], part) for _, part in used], beside)

    examples = [(one, [("/title", "/parts/0"), (None, "/parts/1")]) for one in LINEAGES]
    assert not loses_an_owner(examples)
    monkeypatch.setitem(globals(), "taken_into", first_selector_only)
    assert loses_an_owner(examples)


def test_traitor_that_takes_the_selected_candidate_s_owner_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list's own owner is lost: of a selected place, only the markings are taken that name places."""
    honest = taken_into

    def own_only(source: Lineage, used: Any, beside: Any) -> Lineage:
        named = tuple(m for m in source.markings if m.selectors is not None)
        return honest(source.model_copy(update={"markings": named or source.markings}), used, beside)

    examples = [(one, [("/parts/0/text", "/parts/0")]) for one in LINEAGES]
    assert not loses_an_owner(examples)
    monkeypatch.setitem(globals(), "taken_into", own_only)
    assert loses_an_owner(examples)
