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
