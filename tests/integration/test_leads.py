"""Nobody acts on a lead alone: it is reviewed, verified, and stands beside something from outside its own search."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.kernel.errors import BrokerError, Conflict, Invalid, NotFound
from broker.kernel.ids import ItemId, SearchId
from broker.kernel.words import ItemKind
from broker.products import lead as leads
from broker.products.corroboration import Corroboration, CorroborationKind
from broker.products.lead import Deed, LeadOutcome
from broker.products.verification_model import Confirmation
from broker.provenance.lineage import Lineage
from tests.support.permission import marking
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, codes, officer, workplace

OUTSIDE = Corroboration(
    kind=CorroborationKind.WITNESS,
    description="A neighbour recognised the coat.",
    source=None,
    where="Exampleton",
    when=datetime(2026, 3, 1, tzinfo=UTC),
)
FIRST, SECOND = SearchId("sea_" + "a" * 26), SearchId("sea_" + "b" * 26)


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with workplace(database) as place:
            return await test(place)

    return asyncio.run(run())


def of(item: str) -> Corroboration:
    return OUTSIDE.model_copy(update={"source": ItemId(item), "where": None, "when": None})


async def act(place: Workplace, lead: str, *beside: Corroboration) -> leads.ActionRecord:
    deed = Deed(action="A visit", description="Two officers called at the address.", corroborations=beside)
    return await place.leads.act(ANALYST, lead, deed, place.policy)


async def reviewed(place: Workplace, case: str, owner: str, search: SearchId, **more: Any) -> ItemId:
    listed = await place.listed(case, owner, search_id=search, candidates=1, **more)  # type: ignore[arg-type]
    for sub in ("rita", "rolf"):
        await place.review(listed, sub, c1="possible")
    return listed


async def nothing_from_the_same_search(place: Workplace) -> None:
    case = await place.case()
    one, sibling = await reviewed(place, case, "DOS", FIRST), await reviewed(place, case, "CBP", FIRST)
    other = await reviewed(place, case, "CBP", SECOND)
    lead = await place.lead(case, one)
    mixed, copy = await place.lead(case, sibling, other), await place.lead(case, lead, kind=ItemKind.NOTE)
    # The list itself, the other leg of that search, anything made of either, the lead and its copy.
    for beside in (one, sibling, mixed, lead, copy):
        with pytest.raises(Invalid, match="does not come from the same search"):
            await act(place, lead, of(beside))
    with pytest.raises(Invalid):
        await act(place, lead)
    made = await act(place, lead, of(sibling), of(other))
    assert (made.corroborations, made.independent, made.owners) == (2, 1, ("CBP", "DOS"))


def test_a_corroboration_comes_from_another_search(postgres: Database) -> None:
    at_work(postgres, nothing_from_the_same_search)


def test_what_comes_from_outside_says_what_where_and_when(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        lead = await place.lead(case, await reviewed(place, case, "DOS", FIRST))
        for lacking in ("where", "when"):
            with pytest.raises(Invalid, match="where"):
                await act(place, lead, OUTSIDE.model_copy(update={lacking: None}))
        made = await act(place, lead, OUTSIDE)
        # The record is an item: it carries the lead's owner and the author's own words, and leaves by the same door.
        assert made.owners == ("DOS", "ICE-HSI")
        assert "permission_missing" in codes(await place.release(case, made.id))
        assert [one.id for one in await place.leads.actions(ANALYST, lead)] == [made.id]

    at_work(postgres, test)


def test_a_list_whose_search_is_not_on_record_any_more_is_not_independent(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        lead = await place.lead(case, await reviewed(place, case, "DOS", FIRST))
        unknown = await place.listed(case, "CBP", search_id=None)
        with pytest.raises(Invalid):
            await act(place, lead, of(unknown))

    at_work(postgres, test)


def test_a_lead_that_is_not_reviewed_or_not_verified_is_not_acted_on(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        listed = await place.listed(case, "DOS", search_id=FIRST, candidates=1, caveats=("verify_with_owner",))
        lead = await place.lead(case, listed)
        with pytest.raises(Conflict, match="two reviewers"):
            await act(place, lead, OUTSIDE)
        await place.review(listed, "rita", c1="possible")
        await place.review(listed, "rolf", c1="excluded")
        with pytest.raises(Conflict, match="a third is needed"):
            await act(place, lead, OUTSIDE)
        await place.review(listed, "rosa", c1="possible")
        with pytest.raises(Conflict, match="DOS wants this verified first"):
            await act(place, lead, OUTSIDE)
        await place.verifications.answer(officer("DOS"), lead, Confirmation.CONFIRMED, None)
        await act(place, lead, OUTSIDE)
        await place.verifications.answer(officer("DOS"), listed, Confirmation.NOT_CONFIRMED, None)
        with pytest.raises(Conflict, match="did not confirm"):
            await act(place, lead, OUTSIDE)

    at_work(postgres, test)


def test_only_on_a_lead_and_with_items_that_the_actor_may_view(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        listed = await reviewed(place, case, "DOS", FIRST)
        lead = await place.lead(case, listed)
        with pytest.raises(Conflict):
            await act(place, listed, OUTSIDE)
        with pytest.raises(Conflict):
            await place.leads.conclude(ANALYST, listed, LeadOutcome.REFUTED)
        others = marking("DOS", case_id=case, asked_by="ICE-ERO")
        hidden = await place.item(case, lineage=Lineage(markings=(others,), roots=frozenset()))
        for item in (hidden, "itm_" + "z" * 26):
            with pytest.raises(NotFound):
                await act(place, lead, of(item))
            with pytest.raises(NotFound):
                await act(place, item, OUTSIDE)
        made = await place.leads.conclude(ANALYST, lead, LeadOutcome.CORROBORATED)
        assert (made.lead, made.outcome) == (lead, LeadOutcome.CORROBORATED)

    at_work(postgres, test)


def test_traitor_that_accepts_what_comes_from_the_same_search_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leads, "independent", lambda of_lead, other, lead: True)
    try:
        at_work(postgres, nothing_from_the_same_search)
    except (AssertionError, BrokerError, pytest.fail.Exception):
        return
    raise AssertionError("a corroboration from the same search was accepted, and nothing noticed")
