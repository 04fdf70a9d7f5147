"""What a grant reaches is fixed on the day it is recorded: no later tree adds to it, and moving out takes away."""

from random import Random
from typing import Any

import pytest

from broker.decision import gate
from broker.decision.model import Deny
from broker.grants import coverage
from broker.grants.coverage import Request, Trees, lacks
from broker.grants.lifting import terms_of_lift
from broker.grants.model import Grant
from broker.kernel.ids import AgencyId, ItemId
from broker.kernel.tree import Tree
from broker.kernel.words import ItemKind, ReasonCode
from broker.policy.source import from_files
from broker.provenance.lineage import Lineage
from tests.properties import values
from tests.support.permission import ITEM, NOON, changed, grant, marking
from tests.support.policy_files import lean, shipped

_NAMES = [f"A{n}" for n in range(8)]
_MATTERS = [f"p{n}" for n in range(6)]
_WORLDS = 300
_ONE_CASE = b"""suite: one case, about nobody who leaves
roles:
  - {act: audit_read, allow: [auditor, release_officer]}
"""


def _tree(chance: Random, names: list[str]) -> Tree:
    """A random forest over some of the names; each name's parent comes before it in a random order."""
    kept = chance.sample(names, chance.randint(1, len(names)))
    return Tree({name: chance.choice([None, *kept[:n]]) for n, name in enumerate(kept)})


def _trees(chance: Random) -> Trees:
    purposes = _tree(chance, _MATTERS)
    civil = frozenset(one for one in purposes if set(purposes.chain(one)) & set(chance.sample(_MATTERS, 1)))
    return Trees(agencies=_tree(chance, _NAMES), purposes=purposes, civil=civil)


def _recorded(chance: Random, trees: Trees) -> Grant:
    if chance.random() < 0.2:
        lift = terms_of_lift(AgencyId("DOS"), ItemId(ITEM), "olga", "in the open", NOON)
        return grant("DOS").model_copy(update={"terms": lift, "reach": coverage.reach(lift, trees)})
    return grant(
        "DOS",
        trees=trees,
        recipients=tuple(chance.sample(_NAMES, chance.randint(1, 3))),
        include_components=chance.random() < 0.8,
        purposes=tuple(chance.sample(_MATTERS, chance.randint(1, 2))),
        include_subpurposes=chance.random() < 0.8,
    )


def _covered(held: Grant, trees: Trees) -> set[tuple[str, str]]:
    return {
        (recipient, purpose)
        for recipient in _NAMES
        for purpose in _MATTERS
        if not lacks(held, _asked(recipient, purpose), trees, NOON)
    }


def _asked(recipient: str, purpose: str) -> Request:
    return Request(
        owner=AgencyId("DOS"),
        parts=(marking("DOS"),),
        item=ItemId(ITEM),
        kind=ItemKind.LEAD,
        recipient=recipient,  # type: ignore[arg-type]
        action=grant("DOS").terms.action,  # type: ignore[arg-type]
        purpose=purpose,  # type: ignore[arg-type]
        case_id=None,
        fields=None,
        hops=0,
    )


def _never_widened(seed: int) -> None:
    chance = Random(seed)
    for _ in range(_WORLDS):
        before, after = _trees(chance), _trees(chance)
        held = _recorded(chance, before)
        assert _covered(held, after) <= _covered(held, before), (held.terms, before.agencies._chains)


def test_no_later_tree_widens_a_grant() -> None:
    _never_widened(1)


def test_the_worlds_are_not_empty() -> None:
    """In many of them the grant covers something, and a later tree takes some of it away."""
    chance, covering, narrowed = Random(1), 0, 0
    for _ in range(_WORLDS):
        before, after = _trees(chance), _trees(chance)
        held = _recorded(chance, before)
        was, now = _covered(held, before), _covered(held, after)
        covering += bool(was)
        narrowed += bool(was) and now < was
    assert covering > _WORLDS / 3
    assert narrowed > _WORLDS / 4


def test_traitor_that_expands_the_tree_when_it_decides_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what was reached on the day of recording, an agency put below a recipient would be reached as well."""
    real = coverage.lacks

    def as_of_today(held: Grant, request: Request, trees: Trees, *rest: Any) -> frozenset[coverage.Lack]:
        return real(changed(held, trees), request, trees, *rest)

    monkeypatch.setitem(globals(), "lacks", as_of_today)
    with pytest.raises(AssertionError):
        _never_widened(1)


def test_a_component_that_is_moved_below_a_recipient_is_not_reached_and_one_that_leaves_is_lost() -> None:
    purposes = Tree({"p0": None})
    before = Trees(agencies=Tree({"A0": None, "A1": "A0", "A2": None}), purposes=purposes)
    after = Trees(agencies=Tree({"A0": None, "A1": None, "A2": "A0", "A3": "A0"}), purposes=purposes)
    held = grant("DOS", trees=before, recipients=("A0",), include_components=True, purposes=("p0",))
    assert {agency for agency, _ in _covered(held, before)} == {"A0", "A1"}
    assert {agency for agency, _ in _covered(held, after)} == {"A0"}


def test_a_purpose_that_loses_its_flag_is_not_reached_from_above() -> None:
    purposes = Tree({"p0": None, "p1": "p0"})
    flagged = Trees(agencies=Tree({"A0": None}), purposes=purposes, civil=frozenset({"p1"}))
    plain = Trees(agencies=Tree({"A0": None}), purposes=purposes)
    held = grant("DOS", trees=flagged, recipients=("A0",), purposes=("p0",), include_subpurposes=True)
    assert _covered(held, plain) == {("A0", "p0")}


@pytest.mark.parametrize("gone", ["DOS", "CBP", "FBI"])
def test_an_agency_that_leaves_the_register_frees_nothing(gone: str) -> None:
    """Its file and its systems leave with it; the policy is read, and what it owned is locked."""
    smaller = _register_without(gone)
    for asked, lineage, held in values.SITUATIONS:
        # Of the whole content, so that every owner is concerned.
        question = asked.model_copy(update={"fields": None})
        facts = values.facts(lineage, held, trees=smaller)
        outcome = gate.decide(question, facts, values.ENGINE, _raise)
        was = gate.decide(question, values.facts(lineage, held), values.ENGINE, _raise)
        assert bool(was) or not outcome, "leaving the register has freed something"
        if question.recipient == gone or gone in lineage.owners:
            assert isinstance(outcome, Deny)
        if gone in lineage.owners and question.recipient != gone:
            [reason] = [one for one in outcome.reasons if one.owner == gone and one.code is ReasonCode.NO_PROVENANCE]
            assert "not in the register" in reason.detail


def _raise(failure: Exception) -> None:
    raise failure


def _register_without(gone: str) -> Trees:
    """The shipped files as somebody would leave them who strikes out an agency, with its systems."""
    files = lean(shipped())
    systems = [entry.id for entry in values.BUNDLE.partners if entry.owner == gone]
    rows = [
        line for line in files["searches.csv"].decode().splitlines() if not any(f" {one}," in line for one in systems)
    ]
    files["searches.csv"] = "".join(f"{row}\n" for row in rows).encode()
    for path, content in files.items():
        if path.endswith(".csv"):
            rows = [
                line for line in content.decode().splitlines() if f" {gone}," not in line and f":{gone}," not in line
            ]
            files[path] = "".join(f"{row}\n" for row in rows).encode()
    files.pop(f"owners/{gone}.csv", None)
    owned = f"owner: {gone}\n"
    for path, mark in (("agencies.yaml", f"id: {gone}\n"), ("partners.yaml", owned), ("defaults.yaml", owned)):
        kept = [entry for entry in files[path].decode().split("\n- ") if mark not in f"{entry}\n"]
        files[path] = "\n- ".join(kept).encode()
    files["tests/searches_test.yaml"] = _ONE_CASE
    bundle = from_files(files)
    assert gone not in bundle.agencies
    return Trees(agencies=bundle.agencies, purposes=bundle.purposes, civil=bundle.civil_purposes)


def test_an_owner_without_a_file_lets_nothing_pass() -> None:
    files = lean(shipped())
    del files["owners/STATE-EX-POLICE.csv"]
    engine = values.PolicyEngine(from_files(files))
    lineage = Lineage(markings=(marking("STATE-EX-POLICE"),), roots=frozenset())
    for question, _, _ in values.SITUATIONS[:50]:
        if question.recipient != "STATE-EX-POLICE":
            held = (values.helpful(question, "STATE-EX-POLICE"),)
            assert not gate.decide(question, values.facts(lineage, held), engine, _raise)
