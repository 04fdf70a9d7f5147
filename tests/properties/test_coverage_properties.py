"""A grant covers a question when every dimension matches, by a second reading that was written without the first."""

from typing import Any

import pytest
from hypothesis import given

from broker.grants import coverage
from broker.grants.coverage import Lack, Request, lacks, recorded_keys, scope_keys
from broker.grants.model import Grant, GrantStatus, Scope, Terms
from broker.kernel.words import Action, ItemKind
from broker.provenance.marking import Marking
from tests.properties.values import PAIRS, PER_TEST, TREES, caught, pairs
from tests.support.permission import CASE, ITEM, NOON, grant, marking


def plainly_covers(held: Grant, asked: Request) -> bool:
    """All dimensions, one after the other, in the words of the contract."""
    terms, scope = held.terms, held.terms.scope
    reached = set(terms.recipients)
    if terms.include_components:
        reached |= {name for name in TREES.agencies if set(TREES.agencies.chain(name)) & set(terms.recipients)}
    for_which = set(terms.purposes)
    if terms.include_subpurposes:
        for_which |= {name for name in TREES.purposes if set(TREES.purposes.chain(name)) & set(terms.purposes)}
    scopes = [
        not scope.items or asked.item in scope.items,
        scope.case_id is None or {asked.case_id, *(part.case_id for part in asked.parts)} == {scope.case_id},
        scope.partner is None or {part.source_system for part in asked.parts} == {scope.partner},
        scope.kind is None or asked.kind == scope.kind,
    ]
    if terms.fields is None:
        fields = True
    else:
        tokens = [tuple(one.split("/")) for one in terms.fields]
        fields = asked.fields is not None and all(
            any(tuple(one.split("/"))[: len(top)] == top for top in tokens) for one in asked.fields
        )
    return (
        terms.owner == asked.owner
        and all(scopes)
        and terms.action == asked.action
        and asked.recipient in reached
        and asked.purpose in for_which
        and fields
        and asked.hops <= ((terms.max_hops or 1) if terms.onward else 0)
        and held.status == "active"
        and terms.valid_from <= NOON < terms.valid_until
        and (terms.max_uses is None or held.uses < terms.max_uses)
    )


@given(pairs)
@PER_TEST
def test_nothing_is_lacking_if_and_only_if_every_dimension_matches(pair: tuple[Grant, Request]) -> None:
    held, asked = pair
    assert (not lacks(held, asked, TREES, NOON)) is plainly_covers(held, asked)


def test_the_examples_hold_both_answers() -> None:
    covered = sum(plainly_covers(*pair) for pair in PAIRS)
    assert len(PAIRS) // 10 < covered < len(PAIRS) * 9 // 10


@pytest.mark.parametrize(
    ("onward", "max_hops", "covered"), [(False, None, 0), (True, None, 1), (True, 1, 1), (True, 3, 3), (True, 5, 5)]
)
def test_onward_reaches_as_many_hops_as_it_says(onward: bool, max_hops: int | None, covered: int) -> None:
    held = grant("DOS", onward=onward, max_hops=max_hops)
    for hops in range(8):
        expected = frozenset() if hops <= covered else {Lack.HOPS if onward else Lack.ONWARD}
        assert lacks(held, _asked(hops=hops), TREES, NOON) == expected


def test_traitor_that_ignores_hops_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Onward taken as for ever: what was meant for one hop would go on from hand to hand."""
    monkeypatch.setattr(Terms, "hops", property(lambda terms: 99 if terms.onward else 0))
    with pytest.raises(AssertionError):
        test_onward_reaches_as_many_hops_as_it_says(onward=True, max_hops=1, covered=1)
    assert caught(test_nothing_is_lacking_if_and_only_if_every_dimension_matches, [(pair,) for pair in PAIRS])


@given(pairs)
@PER_TEST
def test_a_grant_that_covers_is_found_by_one_of_its_keys(pair: tuple[Grant, Request]) -> None:
    """The lookup is a finding aid: what it does not find is refused, so it must find all that covers."""
    held, asked = pair
    if plainly_covers(held, asked):
        found = set(recorded_keys(held.terms.scope)) & set(scope_keys(asked.item, asked.kind, asked.parts))
        assert found
        assert set(TREES.agencies.chain(asked.recipient)) & set(held.terms.recipients)
        assert set(TREES.purposes.chain(asked.purpose)) & set(held.terms.purposes)


@given(pairs)
@PER_TEST
def test_without_a_part_of_the_owner_nothing_covers(pair: tuple[Grant, Request]) -> None:
    held, asked = pair
    none: tuple[Marking, ...] = ()
    empty = Request(**{name: getattr(asked, name) for name in asked.__slots__} | {"parts": none})
    assert Lack.OWNER in lacks(held, empty, TREES, NOON)


def _asked(**changes: Any) -> Request:
    members: dict[str, Any] = {
        "owner": "DOS",
        "parts": (marking("DOS"),),
        "item": ITEM,
        "kind": ItemKind.LEAD,
        "recipient": "FBI",
        "action": Action.RELEASE,
        "purpose": "criminal_investigation",
        "case_id": CASE,
        "fields": None,
        "hops": 0,
    }
    return Request(**(members | changes))


@pytest.mark.parametrize(
    ("held", "lack"),
    [
        (grant("DOS"), None),
        (grant("CBP"), Lack.OWNER),
        (grant("DOS", recipients=("DOJ",)), Lack.RECIPIENT),
        (grant("DOS", recipients=("DOJ",), include_components=True), None),
        (grant("DOS", purposes=("threat_to_life",)), Lack.PURPOSE),
        (grant("DOS", item="itm_" + "b" * 26), Lack.ITEM),
        (grant("DOS", scope=Scope(case_id="cas_" + "b" * 26)), Lack.CASE),
        (grant("DOS", scope=Scope(case_id=CASE)), None),
        (grant("DOS", scope=Scope(partner="cbp-atsp")), Lack.PARTNER),
        (grant("DOS", scope=Scope(partner="dos-ccd")), None),
        (grant("DOS", fields=("/title",)), Lack.FIELDS),
        (grant("DOS", status=GrantStatus.PENDING), Lack.PENDING),
        (grant("DOS", status=GrantStatus.REVOKED), Lack.REVOKED),
        (grant("DOS", status=GrantStatus.SUSPENDED), Lack.SUSPENDED),
        (grant("DOS", status=GrantStatus.SUPERSEDED), Lack.SUPERSEDED),
        (grant("DOS", status=GrantStatus.ENTERED_IN_ERROR), Lack.ENTERED_IN_ERROR),
        (grant("DOS", valid_from=NOON.replace(hour=13)), Lack.NOT_YET_VALID),
        (grant("DOS", valid_from=NOON), None),
        (grant("DOS", valid_until=NOON), Lack.EXPIRED),
        (grant("DOS", max_uses=2, uses=1), None),
        (grant("DOS", max_uses=2, uses=2), Lack.EXHAUSTED),
    ],
)
def test_each_dimension_is_lacking_for_itself(held: Grant, lack: Lack | None) -> None:
    expected = frozenset() if lack is None else {lack}
    assert lacks(held, _asked(), TREES, NOON) == expected


def test_traitor_that_folds_case_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written exactly: `fbi` is not FBI, neither in a grant nor in a question."""
    lower = grant("DOS").model_copy(update={"terms": grant("DOS").terms.model_copy(update={"recipients": ("fbi",)})})
    assert Lack.RECIPIENT in lacks(lower, _asked(), TREES, NOON)
    assert Lack.RECIPIENT in lacks(grant("DOS"), _asked(recipient="fbi"), TREES, NOON)

    def folded(name: str, listed: tuple[str, ...], tree: Any, *, reach_down: bool) -> bool:
        del tree, reach_down
        return name.casefold() in {one.casefold() for one in listed}

    monkeypatch.setattr(coverage, "_named", folded)
    assert Lack.RECIPIENT not in lacks(lower, _asked(), TREES, NOON)
    # What the grant reached when it was recorded is a second net, for names in questions.
    assert Lack.RECIPIENT in lacks(grant("DOS"), _asked(recipient="fbi"), TREES, NOON)
