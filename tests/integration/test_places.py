"""Markings reach single places: whom a release of fields asks, what its recipient learns, and what is made of a place."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.api.schemas.releases import refusal_members
from broker.audit.events import Actor
from broker.items.model import Item, Source
from broker.kernel.errors import Invalid
from broker.kernel.ids import AgencyId, CaseId, ItemId, PurposeId, Subject, new_id
from broker.kernel.words import Action, ItemKind
from broker.products.derive import Draft, Part
from broker.provenance.lineage import Lineage
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from broker.release.model import Recipient, Release, ReleaseRequest
from broker.release.permission.repository import PermissionRepository
from broker.release.permission.requests import PermissionService, Question
from broker.release.repository import ReleaseRepository
from broker.release.service import Refused, ReleaseService
from broker.storage.sealing import SealBroken, Sealer
from tests.support.permission import marking
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, OUTER_KEY, Workplace, officer, owners_missing, workplace

DMV = "STATE-EX-DMV"
RECIPIENT = Actor(sub="finn", agency="FBI", roles=("analyst",))
OWN = "/candidates/0/facts"
"""A field of DOS's own candidate."""


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with workplace(database) as place:
            return await test(place)

    return asyncio.run(run())


def candidate(number: int, letter: str) -> dict[str, Any]:
    facts = {"recordKind": f"{letter} drawing"}
    return {"id": f"c{number}", "reference": f"{letter}-1", "rank": 3 - number, "score": number / 2, "facts": facts}


async def gateway_list(place: Workplace, case: CaseId) -> ItemId:
    """An answer of DOS's system: a record of DOS's, and one of the State of Example's, marked as `search.tagging` does."""
    item_id = ItemId(new_id("itm"))
    places = ("/candidates/0/rank", "/candidates/0/score", "/candidates/1")
    parts = (marking("DOS", case_id=case), marking(DMV, case_id=case, selectors=places))
    item = Item(
        id=item_id,
        kind=ItemKind.CANDIDATE_LIST,
        case_id=case,
        purpose=PurposeId("criminal_investigation"),
        author=Subject("ana"),
        component=AgencyId("ICE-HSI"),
        search_id=None,
        candidates=0,
        created_at=datetime.now(UTC),
        lineage=Lineage(markings=parts, roots=frozenset({item_id})),
    )
    async with place.work.begin() as tx:
        await place.writer.write(tx, item, {"candidates": [candidate(1, "V"), candidate(2, "E")]})
    return item_id


def wanted(case: CaseId, item: ItemId, *fields: str) -> ReleaseRequest:
    return ReleaseRequest(
        item=item,
        recipient=Recipient(agency=AgencyId("FBI"), person="R. Invented", address="1 Sample Street"),
        action=Action.RELEASE,
        purpose=PurposeId("criminal_investigation"),
        case_id=case,
        fields=fields or None,
    )


async def released(place: Workplace, case: CaseId, item: ItemId, *fields: str) -> Release | Refused:
    key = secrets.token_hex(8)
    return await place.releases.release(ANALYST, wanted(case, item, *fields), place.policy, key, key)


async def derived(place: Workplace, case: CaseId, *parts: tuple[Source, ...]) -> Item:
    made = tuple(Part(text=f"Paragraph {n}.", sources=sources) for n, sources in enumerate(parts))
    draft = Draft(kind=ItemKind.LEAD, title="A lead", case_id=case, parts=made)
    return await place.derive.derive(ANALYST, draft, place.policy.bundle.purposes)


def test_fields_ask_the_owners_whom_they_concern_and_no_others(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await gateway_list(place, case)
        assert owners_missing(await released(place, case, item)) == ["DOS", DMV]
        assert owners_missing(await released(place, case, item, OWN)) == ["DOS"]
        # One candidate's rank and score say how the other did, and so does the candidate as a whole.
        for told in (
            "/candidates/0/rank",
            "/candidates/0/score",
            "/candidates/0",
            "/candidates",
            "/candidates/1/facts",
        ):
            assert owners_missing(await released(place, case, item, told)) == ["DOS", DMV], told
        # With a field of somebody else's beside it, and where nobody can say what a field is, everybody is asked.
        for other in ("/candidates/1/id", "/candidates/7", "/candidates/00/facts", "/nothing", "/candidates/~2"):
            assert owners_missing(await released(place, case, item, OWN, other)) == ["DOS", DMV], other

    at_work(postgres, test)


async def partly_released(place: Workplace) -> tuple[CaseId, ItemId, Release]:
    case = await place.case()
    item = await gateway_list(place, case)
    await place.grant("DOS", item, fields=(OWN, "/candidates/0/reference"))
    made = await released(place, case, item, OWN, "/candidates/0/reference")
    assert isinstance(made, Release)
    return case, item, made


async def tells_the_recipient_nothing(place: Workplace) -> None:
    _, _, made = await partly_released(place)
    record, copy = await place.releases.read(RECIPIENT, made.id), await place.releases.package(RECIPIENT, made.id)
    assert not isinstance(copy, Refused)
    assert copy["item"]["content"] == {OWN: {"recordKind": "V drawing"}, "/candidates/0/reference": "V-1"}
    for said in (json.dumps(copy), record.model_dump_json()):
        assert DMV not in said
        assert "E-1" not in said
    assert (copy["item"]["owners"], record.disclosure.owners) == (["DOS"], ("DOS",))
    assert (copy["item"]["partial"], copy["item"]["left_out"], record.left_out) == (None, None, None)
    # Of a copy that holds everything the recipient reads the same.
    case = await place.case()
    whole = await gateway_list(place, case)
    await place.grant("DOS", whole)
    await place.grant(DMV, whole)
    entire = await released(place, case, whole)
    assert isinstance(entire, Release)
    copy = await place.releases.package(RECIPIENT, entire.id)
    assert not isinstance(copy, Refused)
    assert (copy["item"]["partial"], copy["item"]["left_out"]) == (None, None)


def test_the_recipient_of_a_part_learns_nothing_of_the_rest(postgres: Database) -> None:
    at_work(postgres, tells_the_recipient_nothing)


def test_traitor_that_tells_the_recipient_that_it_is_partial_is_caught(postgres: Database) -> None:
    class Talkative(ReleaseService):
        """The traitor: whoever may read the record of a release is taken for somebody who may know of the item."""

        async def _knows(self, *_: Any) -> bool:
            return True

    async def test(place: Workplace) -> None:
        place.releases = Talkative(place.work, place.door, ReleaseRepository(Sealer(OUTER_KEY)))
        with pytest.raises(AssertionError):
            await tells_the_recipient_nothing(place)

    at_work(postgres, test)


def test_the_asking_side_is_told_what_was_left_out_and_an_owner_only_of_itself(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case, item, made = await partly_released(place)
        for told in (made, await place.releases.read(ANALYST, made.id)):
            assert told.left_out is not None
            assert (told.left_out.partial, told.left_out.owners) == (True, (DMV,))
        # Somebody of that side who may not look at items reads the record as the recipient does.
        auditor = Actor(sub="aud", agency="ICE-HSI", roles=("auditor",))
        assert (await place.releases.read(auditor, made.id)).left_out is None
        # A recipient that is itself an owner in the item knows of its own part.
        await place.grant("DOS", item, recipients=(AgencyId(DMV),), fields=(OWN,))
        request = wanted(case, item, OWN).model_copy(
            update={"recipient": Recipient(agency=AgencyId(DMV), person="D. Invented", address="2 Sample Street")}
        )
        back = await place.releases.release(ANALYST, request, place.policy, "back-key", "back")
        assert isinstance(back, Release)
        seen = await place.releases.read(Actor(sub="dan", agency=DMV, roles=("analyst",)), back.id)
        assert seen.left_out is not None
        assert (seen.left_out.partial, seen.left_out.owners) == (True, (DMV,))

    at_work(postgres, test)


def test_when_it_is_taken_back_the_recipient_hears_of_its_own_owners_only(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        _, item, made = await partly_released(place)
        await RecallService(place.work).announce(officer(DMV), item, NoticeKind.WITHDRAWN, "CANARY", None)
        for reader, knows in ((RECIPIENT, False), (ANALYST, True)):
            answer = await place.releases.package(reader, made.id)
            assert isinstance(answer, Refused)
            said = json.dumps(refusal_members(answer.judgement, answer.told))
            assert (DMV in said) is knows
            assert '"nearest": {' not in said
        # And it is not told what to do with something that it does not hold.
        told = await RecallService(place.work).inbox(RECIPIENT, 100)
        assert not [one for one in told if one.item == item]

    at_work(postgres, test)


def test_what_is_made_of_a_place_has_the_owners_of_that_place(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await gateway_list(place, case)
        lead = await derived(place, case, (Source(item=item, selector=OWN),), (Source(item=item),), ())
        assert lead.lineage.owners == {"DOS", DMV, "ICE-HSI"}
        assert owners_missing(await released(place, case, lead.id)) == ["DOS", DMV]
        assert owners_missing(await released(place, case, lead.id, "/parts/0/text")) == ["DOS"]
        assert isinstance(await released(place, case, lead.id, "/parts/2/text"), Release)
        for told in ("/title", "/parts", "/parts/1/text", "/parts/1/owners"):
            assert owners_missing(await released(place, case, lead.id, told)) == ["DOS", DMV], told
        # At any depth: of the first paragraph DOS alone, of the lead as such everybody.
        summary = await derived(place, case, (Source(item=lead.id, selector="/parts/0/text"),))
        assert summary.lineage.owners == {"DOS"}
        assert owners_missing(await released(place, case, summary.id)) == ["DOS"]
        everything = await derived(place, case, (Source(item=lead.id, selector="/title"),))
        assert everything.lineage.owners == {"DOS", DMV, "ICE-HSI"}
        # Who looks at the summary is not told by a notice whose list it came from.
        await RecallService(place.work).announce(officer(DMV), item, NoticeKind.WITHDRAWN, "CANARY", None)
        answer = await released(place, case, summary.id)
        assert isinstance(answer, Refused)
        assert DMV not in json.dumps(refusal_members(answer.judgement))
        assert "item_recalled" in json.dumps(refusal_members(answer.judgement))

    at_work(postgres, test)


def test_who_holds_a_part_passes_on_and_writes_from_that_part_and_hears_of_no_more(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        _, item, _ = await partly_released(place)
        case = (await place.cases.open(RECIPIENT, f"FBI-{secrets.token_hex(4)}", "An invented case")).id
        held = ("/candidates/0/reference", OWN)
        onward = wanted(case, item).model_copy(
            update={"recipient": Recipient(agency=AgencyId("CBP"), person="C. Invented", address="3 Sample Street")}
        )
        for fields in (None, ("/candidates",), ("/candidates/0/rank",), ("/candidates/1/id",), (f"{OWN}/none",), held):
            request = onward.model_copy(update={"fields": fields})
            members = refusal_members(await place.releases.dry_run(RECIPIENT, request, place.policy))
            assert DMV not in json.dumps(members), fields
            assert [one["nearest"] for one in members["reasons"]] == [None], fields
            assert members["reasons"][0]["code"] == ("permission_missing" if fields == held else "not_held"), fields
        purposes = place.policy.bundle.purposes
        draft = Draft(
            kind=ItemKind.NOTE, title="N", case_id=case, parts=(Part(text="t", sources=(Source(item=item),)),)
        )
        assert (await place.derive.derive(RECIPIENT, draft, purposes)).lineage.owners == {"DOS"}
        said = set()
        for beyond in ("/candidates/1", "/candidates/9", "/candidates", "/candidates/0/rank"):
            part = Part(text="t", sources=(Source(item=item, selector=beyond),))
            with pytest.raises(Invalid) as refused:
                await place.derive.derive(RECIPIENT, draft.model_copy(update={"parts": (part,)}), purposes)
            said.add(str(refused.value))
        # Where there is something and where there is nothing: the same words.
        assert len(said) == 1
        service = PermissionService(place.work, place.door, PermissionRepository(Sealer(OUTER_KEY)))
        made = await service.ask(RECIPIENT, Question(onward, (), "why", None), place.policy)
        assert [part.owner for part in made.parts] == ["DOS"]

    at_work(postgres, test)


def test_a_request_for_fields_goes_to_the_owners_whom_they_concern(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await gateway_list(place, case)
        service = PermissionService(place.work, place.door, PermissionRepository(Sealer(OUTER_KEY)))
        for fields, asked in (((OWN,), ["DOS"]), ((), ["DOS", DMV]), (("/nothing",), ["DOS", DMV])):
            question = Question(wanted(case, item, *fields), (), "why", None)
            made = await service.ask(ANALYST, question, place.policy)
            assert [part.owner for part in made.parts] == asked

    at_work(postgres, test)


def test_the_record_of_a_decision_names_those_who_were_asked(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await gateway_list(place, case)
        await released(place, case, item, OWN)
        with postgres.owner() as owner:
            [(owners, lineage)] = owner.execute(
                "SELECT owners, lineage FROM decision WHERE item_id = %s AND channel = 'release'", [item]
            ).fetchall()
        assert owners == ["DOS"]
        # What the item was made of stands there whole, so that the decision can be made again.
        assert {one["owner"] for one in lineage["markings"]} == {"DOS", DMV}

    at_work(postgres, test)


@pytest.mark.parametrize("to", ["NULL", "ARRAY['/candidates/0/rank']"])
def test_who_moves_a_marking_to_another_place_in_the_database_opens_nothing(postgres: Database, to: str) -> None:
    async def test(place: Workplace) -> None:
        item = await gateway_list(place, await place.case())
        assert await place.door.view(ANALYST, item) is not None
        with postgres.owner() as owner:
            owner.execute(f"UPDATE item_marking SET selectors = {to} WHERE item_id = %s AND owner = %s", [item, DMV])
        with pytest.raises(SealBroken):
            await place.door.view(ANALYST, item)

    at_work(postgres, test)


async def nearest_of(place: Workplace, case: CaseId, item: ItemId, *fields: str) -> dict[str, Any]:
    judgement = await place.releases.dry_run(ANALYST, wanted(case, item, *fields), place.policy)
    members = refusal_members(judgement)
    by_reason = {one["owner"]: one["nearest"] for one in members["reasons"] if one["code"] == "permission_missing"}
    by_missing = {one["owner"]: one["nearest"] for one in members["missing"]}
    assert by_reason == by_missing
    return by_missing


def test_a_refusal_names_the_nearest_grant_and_what_it_lacks(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await gateway_list(place, case)
        assert await nearest_of(place, case, item) == {"DOS": None, DMV: None}
        far = await place.grant("DOS", item, recipients=(AgencyId("CBP"),), purposes=(PurposeId("threat_to_life"),))
        assert (await nearest_of(place, case, item))["DOS"] == {"grant": far.id, "lacks": ["purpose", "recipient"]}
        near = await place.grant("DOS", item, recipients=(AgencyId("CBP"),))
        assert (await nearest_of(place, case, item))["DOS"] == {"grant": near.id, "lacks": ["recipient"]}
        part = await place.grant("DOS", item, fields=("/candidates/0/reference",))
        assert (await nearest_of(place, case, item, OWN))["DOS"]["grant"] == min(near.id, part.id)
        await place.endings.revoke(officer("DOS"), near.id, "gone", place.policy.bundle.agencies)
        found = await nearest_of(place, case, item, OWN)
        assert found == {"DOS": {"grant": part.id, "lacks": ["fields"]}}

    at_work(postgres, test)


def test_the_nearest_grant_is_looked_for_among_a_few(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await gateway_list(place, case)
        for _ in range(30):
            await place.grant("DOS", item, recipients=(AgencyId("CBP"),), purposes=(PurposeId("threat_to_life"),))
        # What agrees in more is found however many there are that agree in less.
        near = await place.grant("DOS", item, purposes=(PurposeId("threat_to_life"),))
        assert (await nearest_of(place, case, item))["DOS"] == {"grant": near.id, "lacks": ["purpose"]}

    at_work(postgres, test)
