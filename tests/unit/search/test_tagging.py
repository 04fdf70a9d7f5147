"""A result is marked with the register's owner; what the partner says of itself can only make it stricter."""

from datetime import UTC, datetime
from typing import Any

import pytest

from broker.items.model import Content, Item
from broker.kernel.partner import PartnerEntry
from broker.kernel.words import ItemKind, LegState
from broker.partners.claims import foreign_owner
from broker.partners.contract import Answered, Handling, NoHit, ReportedCandidate
from broker.policy.source import from_files
from broker.search import tagging
from broker.search.model import Leg, Search, SearchTerms
from tests.support.permission import CASE
from tests.support.policy_files import lean, shipped

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ENTRY: PartnerEntry = next(one for one in from_files(lean(shipped())).partners if one.id == "cbp-atsp")
CLAIMS = ["DOS", "CBP ", "cbp", "СВР", "FBI", "*", "any"]


def answer(*handlings: Handling | None) -> Answered:
    return Answered(
        candidates=tuple(
            ReportedCandidate(reference=f"R-{n}", rank=n, score=0.5, handling=one) for n, one in enumerate(handlings, 1)
        )
    )


def search() -> tuple[Search, Leg]:
    terms = SearchTerms.model_validate(
        {
            "case_id": CASE,
            "predicate": "investigation",
            "purpose": "criminal_investigation",
            "legal_basis": "x",
            "evidentiary_basis": "none",
            "basis_text": "x",
            "prior_methods": [],
            "exigent": False,
            "probe": {
                "kind": "photo",
                "acquisition": "x",
                "acquired_at": NOW,
                "lawful_acquisition_attested": True,
                "edits": [],
            },
            "partners": [ENTRY.id],
            "max_candidates": 20,
            "deadline_seconds": 30.0,
        },
        strict=False,
    )
    leg = Leg(
        transaction_id="txn_" + "a" * 26,
        partner=ENTRY.id,
        state=LegState.SENT,
        reason=None,
        item_id=None,
        task_id=None,
        calls=1,
        polls=0,
        deadline_at=NOW,
    )
    made = Search(
        id="sea_" + "a" * 26,
        component="ICE-HSI",
        requested_by="ana",
        requested_at=NOW,
        deadline_at=NOW,
        terms=terms,
        legs=(leg,),
    )
    return made, leg


def tagged(outcome: Answered | NoHit) -> tuple[Item, Content]:
    return tagging.tag(*search(), ENTRY, outcome, NOW)


def test_no_hit_is_the_owner_s_too() -> None:
    item, content = tagged(NoHit())
    assert (item.lineage.owners, item.candidates, content) == ({"CBP"}, 0, {"candidates": []})
    assert item.kind is ItemKind.CANDIDATE_LIST
    assert item.lineage.roots == {item.id}


def owner_is_the_register_s(claimed: str) -> None:
    """Whatever is claimed, the leg is quarantined, and were it tagged all the same, it would be the register's owner's."""
    outcome = answer(None, Handling(owner=claimed, custodian=claimed))
    assert foreign_owner(ENTRY, outcome) == claimed
    item, _ = tagged(outcome)
    assert item.lineage.owners == {"CBP"}
    assert {marking.custodian for marking in item.lineage.markings} == {"CBP"}


@pytest.mark.parametrize("claimed", CLAIMS)
def test_the_owner_comes_from_the_register(claimed: str) -> None:
    owner_is_the_register_s(claimed)


def test_traitor_that_trusts_the_partner_s_owner_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = tagging.mark

    def trusting(**members: Any) -> Any:
        return honest(**(members | {"owner": "DOS"}))

    monkeypatch.setattr(tagging, "mark", trusting)
    with pytest.raises(AssertionError):
        owner_is_the_register_s("DOS")


def test_the_partner_s_caveats_are_added_and_none_is_taken_away() -> None:
    item, content = tagged(answer(Handling(caveats=("no_onward",)), Handling(caveats=("lead_only", "x"))))
    assert item.lineage.markings[0].caveats == ("lead_only", "no_onward", "x")
    assert [one["caveats"] for one in content["candidates"]] == [["no_onward"], ["lead_only", "x"]]


def test_score_and_rank_are_kept_and_nothing_is_chosen() -> None:
    _, content = tagged(answer(None, None, None))
    assert [one["rank"] for one in content["candidates"]] == [1, 2, 3]
    assert not {"best", "match", "identified"} & set(content["candidates"][0])


GATEWAY = ENTRY.model_copy(update={"other_owners": ("FBI", "STATE-EX-DMV")})


def at_the_gateway(*owners: str | None) -> tuple[Item, Content]:
    """A list with a candidate of each of these owners, best first; None says nothing of its owner."""
    handlings = [None if one is None else Handling(owner=one, caveats=(f"of_{one.lower()[:3]}",)) for one in owners]
    return tagging.tag(*search(), GATEWAY, answer(*handlings), NOW)


def whose(item: Item, *fields: str) -> set[str]:
    return set(item.lineage.concerning(fields).owners)


def test_another_owner_s_candidate_is_its_own_as_well_and_the_list_stays_the_partner_s_owner_s() -> None:
    item, content = at_the_gateway("CBP", "FBI", None)
    assert item.lineage.owners == {"CBP", "FBI"}
    assert [one["reference"] for one in content["candidates"]] == ["R-1", "R-3", "R-2"]
    assert whose(item, "/candidates/2/reference") == {"CBP", "FBI"}
    assert whose(item, "/candidates/2/facts") == whose(item, "/candidates/2/id") == {"CBP", "FBI"}
    for own in ("/candidates/0/reference", "/candidates/1/facts", "/candidates/0/id", "/candidates/1/caveats"):
        assert whose(item, own) == {"CBP"}


def test_a_rank_or_a_score_tells_of_every_owner_s_candidates() -> None:
    item, _ = at_the_gateway("CBP", "FBI", "STATE-EX-DMV")
    for n in range(3):
        for told in (f"/candidates/{n}/rank", f"/candidates/{n}/score", f"/candidates/{n}", "/candidates"):
            assert whose(item, told) == {"CBP", "FBI", "STATE-EX-DMV"}, told


def test_a_number_in_the_list_tells_nothing_of_owners_that_are_not_asked_about_it() -> None:
    """The first owner's places are the same whether another one had a hit or not; later places are asked of the earlier."""
    item, content = at_the_gateway("FBI", "STATE-EX-DMV", "CBP")
    assert [one["reference"] for one in content["candidates"]] == ["R-3", "R-1", "R-2"]
    assert whose(item, "/candidates/0/facts") == {"CBP"}
    assert whose(item, "/candidates/1/facts") == {"CBP", "FBI"}
    assert whose(item, "/candidates/2/facts") == {"CBP", "FBI", "STATE-EX-DMV"}
    alone, _ = at_the_gateway("CBP")
    assert alone.lineage.markings[0].selectors is None
    assert whose(alone, "/candidates/0/score") == {"CBP"}


def test_the_ids_are_numbered_as_the_places_are() -> None:
    _, content = at_the_gateway("FBI", None, "FBI", "CBP")
    assert [one["id"] for one in content["candidates"]] == ["c1", "c2", "c3", "c4"]
    # Within one owner's the partner's own order is kept, and the rank is the partner's.
    assert [one["rank"] for one in content["candidates"]] == [2, 4, 1, 3]


def test_a_candidate_s_caveats_go_with_its_owner_s_part() -> None:
    item, _ = at_the_gateway("CBP", "FBI")
    held = {one.owner: one.caveats for one in item.lineage.markings}
    assert held == {"CBP": ("lead_only", "of_cbp"), "FBI": ("lead_only", "of_fbi")}
    assert {one.source_system for one in item.lineage.markings} == {GATEWAY.id}
    assert {one.custodian for one in item.lineage.markings} == {GATEWAY.custodian}


def test_owners_that_the_register_does_not_name_are_none_here_either() -> None:
    claim = answer(None, Handling(owner="DOS"))
    assert foreign_owner(GATEWAY, claim) == "DOS"
    item, _ = tagging.tag(*search(), GATEWAY, claim, NOW)
    assert item.lineage.owners == {"CBP"}


def test_traitor_that_gives_a_candidate_to_its_owner_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The traitor: another owner's candidate is no longer the list's owner's."""
    honest = tagging._markings

    def apart(*members: Any) -> Any:
        first, *others = honest(*members)
        return first.model_copy(update={"selectors": ("/candidates/0", "/candidates/1")}), *others

    monkeypatch.setattr(tagging, "_markings", apart)
    with pytest.raises(AssertionError):
        test_another_owner_s_candidate_is_its_own_as_well_and_the_list_stays_the_partner_s_owner_s()
