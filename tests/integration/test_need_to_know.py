"""What a partner said of a participant is for those of the component who are enrolled for it (ADR 0019)."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import true

from broker.audit.events import Actor
from broker.decision import sight
from broker.decision.need_to_know import may_know
from broker.kernel.errors import NotFound
from broker.kernel.ids import AgencyId, CaseId, ItemId, PartnerId
from broker.kernel.words import ItemKind
from broker.partners.contract import Answered, ReportedCandidate
from broker.provenance.lineage import Lineage
from broker.release.service import Refused
from broker.search import repository
from tests.integration.sweep import Hidden, calls, face
from tests.scenarios.world import small_jpeg
from tests.support.edge import Edge, edge, search_terms
from tests.support.items import an_item
from tests.support.permission import marking
from tests.support.postgres import Database
from tests.support.traitors import assert_caught, each_caught
from tests.support.workplace import Workplace, analyst, officer, workplace

CHECKIN = "contractor-checkin"
_OCCURRENCE = re.compile(rb"urn:interagency-broker:occurrence:\w+")
WRITTEN = "The one who checked in looks like the enrolled participant."
ENROLLED = Actor(sub="erin", agency="ICE-ERO", roles=("analyst",), enrolled=(CHECKIN,))
COLLEAGUE = Actor(sub="eve", agency="ICE-ERO", roles=("analyst", "reviewer"), enrolled=("cbp-atsp",))


@dataclass
class Verified:
    """A participant who was verified, and what came of it."""

    who: str
    case: str
    participant: str
    reference: str
    search: str
    item: str
    note: str


async def verified(place: Edge) -> Verified:
    who = place.token("ICE-ERO", "analyst", sub="erin")
    case = (await place.made(who, "/v1/cases", {"reference": f"ERO-{secrets.token_hex(4)}", "title": "t"}))["id"]
    reference = f"P-{secrets.token_hex(4)}"
    participant = (await place.made(who, "/v1/participants", {"partner": CHECKIN, "reference": reference}))["id"]
    accepted = {"version": "2026-1", "accepted_at": datetime.now(UTC).isoformat()}
    await place.made(who, f"/v1/participants/{participant}/terms", accepted)
    terms = search_terms(case, [CHECKIN], purpose="supervision_check_in", predicate="assessment")
    search = (await place.search(who, {**terms, "participant": participant}, small_jpeg()))["id"]
    match = ReportedCandidate(reference=reference, rank=1, score=0.93)
    item = await place.answer(search, CHECKIN, Answered(candidates=(match,)))
    assert item is not None
    part = {"text": WRITTEN, "sources": [{"item": item}]}
    note = await place.made(who, "/v1/items", {"kind": "note", "title": "n", "case_id": case, "parts": [part]})
    return Verified(who, case, participant, reference, search, item, note["id"])


def at_the_edge(database: Database, home: Path, test: Callable[[Edge, Verified], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with edge(database, home) as place:
            await test(place, await verified(place))

    asyncio.run(run())


def test_for_a_colleague_who_is_not_enrolled_there_is_nothing_in_any_answer(postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge, seen: Verified) -> None:
        nothing = {"case": "cas_x", "request": "prq_x", "candidate": "c1", "grant": "grt_x", "notification": "ntf_x"}
        known = Hidden(item=seen.item, lead=seen.note, search=seen.search, **nothing)
        unknown = Hidden(item="itm_" + "a" * 26, lead="itm_" + "b" * 26, search="sea_" + "a" * 26, **nothing)
        secret = (seen.item, seen.note, seen.search, seen.participant, seen.reference, WRITTEN)
        eve = place.token("ICE-ERO", "analyst", "reviewer", sub="eve", enrolled=["cbp-atsp"])

        async def answer(call: tuple[str, str, str, Any]) -> Any:
            _, method, path, body = call
            sent = {} if body is None else {"json": body}
            status, headers, content = face(await place.call(eve, method, path, key=secrets.token_hex(8), **sent), path)
            return status, headers, _OCCURRENCE.sub(b"", content)

        pairs = zip(calls(place, known, seen.case, set()), calls(place, unknown, seen.case, set()), strict=True)
        for real, made_up in pairs:
            told = await answer(real)
            assert not [one for one in secret if one.encode() in told[2]], real
            if real[2:] != made_up[2:]:
                assert told == await answer(made_up), real
        officer_of_ero = place.token("ICE-ERO", "release_officer", enrolled=[])
        assert (await place.call(officer_of_ero, "GET", f"/v1/items/{seen.note}")).status_code == 404

    at_the_edge(postgres, tmp_path, test)


def test_who_is_enrolled_reads_reviews_and_finds_the_search(postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge, seen: Verified) -> None:
        rae = place.token("ICE-ERO", "analyst", "reviewer", sub="rae", enrolled=[CHECKIN])
        for path in (f"/v1/items/{seen.item}", f"/v1/items/{seen.note}", f"/v1/searches/{seen.search}"):
            assert (await place.call(rae, "GET", path)).status_code == 200, path
        listed = (await place.call(rae, "GET", "/v1/searches?limit=100")).json()["items"]
        assert seen.search in {one["id"] for one in listed}
        disposition = {"dispositions": [{"candidate": "c1", "disposition": "excluded"}]}
        await place.made(rae, f"/v1/items/{seen.item}/reviews", disposition)

    at_the_edge(postgres, tmp_path, test)


def test_the_owner_s_officer_looks_at_what_is_its_own(postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge, seen: Verified) -> None:
        olga = place.token("CONTRACTOR-EX", "release_officer", enrolled=[])
        assert (await place.call(olga, "GET", f"/v1/items/{seen.item}")).status_code == 200

    at_the_edge(postgres, tmp_path, test)


def test_a_search_that_names_nobody_is_the_whole_component_s(postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge, seen: Verified) -> None:
        eve = place.token("ICE-ERO", "analyst", sub="eve", enrolled=["cbp-atsp"])
        terms = search_terms(seen.case, [CHECKIN], purpose="supervision_check_in", predicate="assessment")
        asked = {**terms, "participant": seen.participant}
        own = (await place.search(eve, asked, small_jpeg()))["id"]
        assert (await place.call(eve, "GET", f"/v1/searches/{own}")).status_code == 200, "it has named nobody to her"

    at_the_edge(postgres, tmp_path, test)


def test_who_is_enrolled_no_longer_has_no_answer_repeated(postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge, seen: Verified) -> None:
        terms = search_terms(seen.case, [CHECKIN], purpose="supervision_check_in", predicate="assessment")
        terms["participant"] = seen.participant
        key = secrets.token_hex(8)
        await place.search(seen.who, terms, small_jpeg(), key=key)
        left = place.token("ICE-ERO", "analyst", sub="erin", enrolled=[])
        with pytest.raises(AssertionError, match="not-found"):
            await place.search(left, terms, small_jpeg(), key=key)

    at_the_edge(postgres, tmp_path, test)


def at_work(database: Database, test: Callable[[Workplace, CaseId, ItemId], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with workplace(database) as place:
            case = await place.case(ENROLLED)
            part = {"text": WRITTEN, "owners": ["CONTRACTOR-EX"], "sources": []}
            note = an_item(case, ("CONTRACTOR-EX",), ItemKind.NOTE)
            of_checkin = marking(
                "CONTRACTOR-EX", source_system=PartnerId(CHECKIN), asked_by=AgencyId("ICE-ERO"), case_id=case
            )
            lineage = Lineage(markings=(of_checkin,), roots=frozenset())
            note = note.model_copy(update={"component": AgencyId("ICE-ERO"), "author": "erin", "lineage": lineage})
            async with place.work.begin() as tx:
                await place.writer.write(tx, note, {"title": "t", "parts": [part]})
            await test(place, case, note.id)

    asyncio.run(run())


def test_what_was_released_under_a_grant_is_the_recipient_s_by_that_grant(postgres: Database) -> None:
    async def test(place: Workplace, case: CaseId, note: ItemId) -> None:
        await place.grant("CONTRACTOR-EX", note, onward=True)
        made = await place.passed_on(case, note, actor=ENROLLED)
        fbi = analyst("FBI")
        assert fbi.enrolled == ()
        package = await place.releases.package(fbi, made.id)
        assert not isinstance(package, Refused)
        assert package["item"]["content"]["parts"][0]["text"] == WRITTEN  # type: ignore[index]
        async with place.work.begin() as tx:
            assert await place.door.view_within(tx, fbi, note, "derive", copies=True) is not None
        # The side that made it is the component whose participant it is.
        with pytest.raises(NotFound):
            await place.releases.package(COLLEAGUE, made.id)

    at_work(postgres, test)


def test_what_waits_for_a_grant_is_made_for_who_asked(fresh_postgres: Database) -> None:
    async def test(place: Workplace, case: CaseId, note: ItemId) -> None:
        held = await place.held.hold(ENROLLED, place.wish(case, note), None, secrets.token_hex(8), "x")
        await place.grant("CONTRACTOR-EX", note)
        await place.held.sweep()
        assert (await place.held.read(ENROLLED, held.id)).state.value == "released"  # type: ignore[union-attr]

    at_work(fresh_postgres, test)


def test_a_partner_s_leaving_the_register_frees_nothing(postgres: Database) -> None:
    async def test(place: Workplace, case: CaseId, note: ItemId) -> None:
        bare = replace(place.policy, bundle=replace(place.policy.bundle, partners=()))
        async with place.work.begin() as tx:
            stored = (await place.door.view_within(tx, ENROLLED, note, "view")).item  # type: ignore[union-attr]
            await tx.write(
                "INSERT INTO participant (id, partner, agency, reference, enrolled_by, enrolled_at)"
                " VALUES (%s, %s, 'ICE-ERO', %s, 'erin', now())",
                (f"par_{secrets.token_hex(13)}", CHECKIN, secrets.token_hex(8)),
            )
            for policy in (place.policy, bare, None):
                assert not await may_know(tx, COLLEAGUE, stored, policy)
                assert await may_know(tx, ENROLLED, stored, policy)
                assert await may_know(tx, officer("CONTRACTOR-EX"), stored, policy)
            # One that never verified anybody is no secret, in the register or out of it.
            of_dos = stored.lineage.model_copy(
                update={"markings": (marking("DOS", asked_by=AgencyId("ICE-ERO"), case_id=case),)}
            )
            for policy in (place.policy, bare):
                assert await may_know(tx, COLLEAGUE, stored.model_copy(update={"lineage": of_dos}), policy)

    at_work(postgres, test)


def the_component_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    async def knows(*_: Any) -> bool:
        return True

    monkeypatch.setattr(sight, "may_know", knows)


def searches_are_the_component_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "or_", lambda *_: true())


@each_caught(
    (test_for_a_colleague_who_is_not_enrolled_there_is_nothing_in_any_answer, the_component_is_enough),
    (test_for_a_colleague_who_is_not_enrolled_there_is_nothing_in_any_answer, searches_are_the_component_s),
)
def test_traitor_without_the_rule_is_caught(
    postgres: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rule: Callable[[Database, Path], None],
    broken: Callable[[pytest.MonkeyPatch], None],
) -> None:
    broken(monkeypatch)
    assert_caught(rule, postgres, tmp_path)
