"""What the broker gave out is known again when it comes back, to those it was given to and to nobody else."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.items.writer import ItemWriter
from broker.kernel.errors import BrokerError, Conflict, NoProvenance
from broker.kernel.ids import AgencyId, CaseId
from broker.kernel.words import ItemKind
from broker.products.derive import Draft, Part
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, analyst, officer, workplace

TOLD = "The applicant wore a green coat with wooden buttons."


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with workplace(database) as place:
            return await test(place)

    return asyncio.run(run())


async def retyped(place: Workplace, text: str, case: CaseId, actor: Actor = ANALYST) -> list[str]:
    """The owners of a note that names no source."""
    draft = Draft(kind=ItemKind.NOTE, title="n", case_id=case, parts=(Part(text=text, sources=()),))
    return sorted((await place.derive.derive(actor, draft, place.policy.bundle.purposes)).lineage.owners)


async def told(place: Workplace, case: CaseId, *owners: str, text: str = TOLD) -> str:
    """A lead of these owners that says something."""
    part = {"text": text, "owners": sorted(owners), "sources": [{"item": "itm_" + "s" * 26, "selector": None}]}
    return await place.item(case, *owners, content={"title": "t", "parts": [part]})


async def comes_back(place: Workplace) -> None:
    """Retyped, copied as JSON, or imported, by the component that was given it and by a recipient."""
    case = await place.case()
    lead = await told(place, case, "CBP", "DOS")
    assert await retyped(place, TOLD, case) == ["ICE-HSI"], "nobody has been given it yet"
    seen = await place.door.view(ANALYST, lead)
    assert seen is not None
    for text in (TOLD, f"  {TOLD}\n", f"As was said:\n{TOLD}", json.dumps(seen.content)):
        assert {"CBP", "DOS"} <= set(await retyped(place, text, case)), text
    copy = {"item": {"id": lead, "owners": ["ICE-HSI"], "content": seen.content}}
    made = await place.imports.take_in(ANALYST, copy, case, place.policy.bundle.purposes)
    assert (made.kind, sorted(made.lineage.owners)) == (ItemKind.LEAD, ["CBP", "DOS"])


def test_what_comes_back_has_the_owners_it_went_out_with(postgres: Database) -> None:
    at_work(postgres, comes_back)


def test_who_was_never_given_it_learns_nothing(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        secret = await told(place, case, "DOS", text="An answer that nobody else has ever seen.")
        seen = await place.door.view(ANALYST, secret)
        assert seen is not None
        finn = analyst("FBI")
        theirs = await place.case(finn)
        text = seen.content["parts"][0]["text"]
        assert await retyped(place, text, theirs, finn) == await retyped(place, text[::-1], theirs, finn) == ["FBI"]
        answers = []
        for content in (seen.content, {"title": "t", "parts": [{"text": "made up"}]}):
            copy = {"item": {"id": secret, "content": content}}
            with pytest.raises(NoProvenance) as refusal:
                await place.imports.take_in(finn, copy, theirs, place.policy.bundle.purposes)
            answers.append((refusal.value.status, refusal.value.detail))
        assert answers[0] == answers[1]

    at_work(postgres, test)


def test_what_claims_owners_and_is_not_known_is_not_taken_in(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        claimed = {"item": {"owners": ["ICE-HSI"], "content": {"title": "t", "parts": [{"text": "From nowhere."}]}}}
        for copy in (claimed, {"content": {}}, {"item": "x"}, {}, {"item": {"content": [1]}}):
            with pytest.raises(NoProvenance):
                await place.imports.take_in(ANALYST, copy, case, place.policy.bundle.purposes)

    at_work(postgres, test)


def test_a_recipient_s_copy_and_a_part_of_one_are_known_again(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case, finn = await place.case(), analyst("FBI")
        theirs = await place.case(finn)
        text = "The recipient is told this, all of it."
        lead = await told(place, case, "CBP", "DOS", text=text)
        await place.grant("CBP", lead)
        granted = await place.grant("DOS", lead)
        release = await place.passed_on(case, lead)
        package = await place.releases.package(finn, release.id)
        assert isinstance(package, dict)
        made = await place.imports.take_in(finn, package, theirs, place.policy.bundle.purposes)
        assert sorted(made.lineage.owners) == ["CBP", "DOS"]
        assert {"CBP", "DOS"} <= set(await retyped(place, text, theirs, finn))
        # Once the permission has gone, what was given is not made into anything new, and least of all freed.
        await place.endings.revoke(officer("DOS"), granted.id, "over", place.policy.bundle.agencies)
        with pytest.raises(Conflict):
            await place.imports.take_in(finn, package, theirs, place.policy.bundle.purposes)
        with pytest.raises(Conflict):
            await retyped(place, text, theirs, finn)

    at_work(postgres, test)


def test_a_candidate_list_comes_back_as_a_redaction_of_each_candidate(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        listed = await place.listed(case, "DOS")
        seen = await place.door.view(ANALYST, listed)
        assert seen is not None
        copy = {"id": listed, "content": seen.content}
        made = await place.imports.take_in(ANALYST, copy, case, place.policy.bundle.purposes)
        assert (made.kind, sorted(made.lineage.owners)) == (ItemKind.REDACTION, ["DOS"])
        # The list is behind it, so it waits for the list's review like anything made of it.
        ancestry = await place.door.ancestry(ANALYST, made.id)
        assert ancestry is not None
        assert ancestry.roots == {listed}

    at_work(postgres, test)


def test_one_s_own_words_may_be_repeated_and_short_ones_are_everybody_s(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        own = "Our own officer saw nobody at the address today."
        assert await retyped(place, own, case) == await retyped(place, own, case) == ["ICE-HSI"]
        short = await told(place, case, "DOS", text="No candidate.")
        assert await place.door.view(ANALYST, short) is not None
        assert await retyped(place, "No candidate.", case) == ["ICE-HSI"]

    at_work(postgres, test)


def test_an_own_note_named_beside_another_s_words_does_not_make_them_one_s_own(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        text = "What the owner wrote about the third entry."
        lead = await told(place, case, "DOS", text=text)
        assert await place.door.view(ANALYST, lead) is not None
        own = await place.item(case, "ICE-HSI", kind=ItemKind.NOTE)
        named = Part(text=text, sources=(place.source(own),))
        draft = Draft(kind=ItemKind.NOTE, title="n", case_id=case, parts=(named,))
        made = await place.derive.derive(ANALYST, draft, place.policy.bundle.purposes)
        assert "DOS" in made.lineage.owners

    at_work(postgres, test)


def test_an_item_whose_markings_are_gone_is_locked_for_everybody(fresh_postgres: Database) -> None:
    """Not free: nobody looks at it, nothing is made of it, and nothing is passed on."""

    async def test(place: Workplace) -> None:
        case = await place.case()
        lead = await told(place, case, "DOS")
        assert await place.door.view(ANALYST, lead) is not None
        with fresh_postgres.owner() as owner:
            owner.execute("DELETE FROM item_marking WHERE item_id = %s", [lead])
        for who in (ANALYST, officer("DOS"), analyst("FBI")):
            assert await place.door.view(who, lead) is None
        with pytest.raises(BrokerError):
            await place.lead(case, lead)
        with pytest.raises(BrokerError):
            await place.release(case, lead)
        with pytest.raises(Conflict):
            await retyped(place, TOLD, case)

    at_work(fresh_postgres, test)


def test_traitor_that_forgets_what_was_given_out_is_caught(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forgotten(self: ItemWriter, tx: Any, component: AgencyId, text: str) -> tuple[()]:
        return ()

    monkeypatch.setattr(ItemWriter, "recognise", forgotten)
    with pytest.raises(AssertionError):
        at_work(postgres, comes_back)
