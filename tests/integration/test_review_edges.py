"""What a caller with a valid token of the wrong agency or role learnt or did at the edges: each was open once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.audit.reader import Filters
from broker.kernel.clock import SystemClock
from broker.kernel.errors import BrokerError, Forbidden, Invalid, NotFound
from broker.kernel.ids import new_id
from broker.oversight.trail import AuditTrail
from broker.products.corroboration import Corroboration, CorroborationKind
from broker.products.lead import Deed
from broker.products.verification_model import Confirmation
from broker.provenance.lineage import Lineage
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from broker.release.exigent.model import OwnerState
from broker.release.impact import ImpactService
from broker.release.model import Release
from broker.search.callbacks import ON_RECORD
from broker.search.watch import MOST_OPEN
from tests.integration.test_correction_reports import run as report
from tests.scenarios.world import small_jpeg
from tests.support.edge import Edge, edge, search_terms
from tests.support.permission import marking
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, analyst, codes, officer, workplace

FBI = analyst("FBI")
AUDITOR = Actor(sub="aud", agency="DHS", roles=("auditor",))
DANGER = "A child was taken this morning and the car was seen an hour ago."


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with workplace(database) as place:
            await test(place)

    asyncio.run(run())


def at_the_edge(database: Database, home: Path, test: Callable[[Edge], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with edge(database, home) as place:
            await test(place)

    asyncio.run(run())


async def partly_passed_on(place: Workplace) -> tuple[str, str]:
    """A lead with a part of CBP's and one of DOS's, of which FBI was given CBP's alone; the lead and HSI's case."""
    case = await place.case()
    lineage = Lineage(
        markings=(
            marking("CBP", case_id=case, selectors=("/parts/0",)),
            marking("DOS", case_id=case, selectors=("/parts/1",), caveats=("verify_with_owner",)),
        ),
        roots=frozenset(),
    )
    parts = [{"text": f"From {o}.", "owners": [o], "sources": []} for o in ("CBP", "DOS")]
    content = {"title": "t", "parts": parts}
    lead = await place.item(case, "CBP", "DOS", content=content, lineage=lineage)
    await place.grant("CBP", lead)
    made = await place.release(case, lead, fields=("/parts/0/text",))
    assert isinstance(made, Release), codes(made)
    await place.acceptances.accept(FBI, made.id, made.caveats)
    return lead, case


async def entries(place: Workplace, actor: Actor, tag: str | None = None) -> list[Any]:
    return list((await AuditTrail(place.work).entries(actor, Filters(tag=tag), None, 500)).items)


def test_a_holder_of_a_part_that_acts_on_it_hears_nothing_of_the_rest(postgres: Database) -> None:
    """The refusal said that DOS wanted the lead verified: DOS had no part in what FBI was given."""

    async def test(place: Workplace) -> None:
        lead, _ = await partly_passed_on(place)
        outside = Corroboration(
            kind=CorroborationKind.WITNESS, description="d", source=None, where="w", when=SystemClock().now()
        )
        deed = Deed(action="a", description="d", corroborations=(outside,))
        with pytest.raises(BrokerError) as caught:
            await place.leads.act(FBI, lead, deed, place.policy)
        assert isinstance(caught.value, Invalid), caught.value
        assert (caught.value.pointer, "DOS" in caught.value.detail) == ("/case_id", False)

    at_work(postgres, test)


def read_in_the_audit(database: Database) -> list[str]:
    """What FBI's release officer reads of a lead after FBI asked for more of it than FBI holds."""
    found: list[str] = []

    async def test(place: Workplace) -> None:
        lead, _ = await partly_passed_on(place)
        theirs = await place.case(FBI)
        for fields in (None, ("/parts/1/text",), ("/parts/0/text", "/parts/7")):
            answer = await place.release(theirs, lead, to="STATE-EX-POLICE", actor=FBI, fields=fields)
            assert codes(answer) == {"not_held"}
        seen = [one.model_dump_json() for one in await entries(place, officer("FBI"))]
        found.extend(one for one in seen if lead in one)
        kept = [one.model_dump_json() for one in await entries(place, AUDITOR, "decision:gate:made")]
        assert [one for one in kept if lead in one and "not_held" in one and "DOS" in one]

    at_work(database, test)
    return found


def test_a_holder_s_officer_reads_in_the_audit_nothing_of_whose_the_rest_is(postgres: Database) -> None:
    """ "Not held" said nothing more; the entry behind it named the owners of what had been asked for."""
    found = read_in_the_audit(postgres)
    assert found
    assert not [one for one in found if "DOS" in one]


def test_traitor_that_withholds_refused_looks_only_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = "({entry}.tag = 'decision:gate:made' AND {entry}.detail ->> 'action' = 'view')"
    monkeypatch.setattr("broker.audit.reader.WITHHELD", looks)
    assert [one for one in read_in_the_audit(postgres) if "DOS" in one]


def test_a_trace_shows_an_owner_no_copy_without_its_information(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        lead, _ = await partly_passed_on(place)

        async def copies(agency: str | None) -> list[str]:
            rows = (await report(place, "trace", agency, lead)).rows
            return [row["recipient"] for row in rows if row["recipient"] is not None]

        assert await copies(None) == await copies("CBP") == ["FBI"]
        assert await copies("DOS") == []

    at_work(postgres, test)


def test_who_asked_does_not_ratify_for_the_owner_with_another_token(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        release = await place.release(case, await place.item(case, "DOS"), danger=DANGER)
        assert isinstance(release, Release)
        same = Actor(sub=ANALYST.sub, agency="DOS", roles=("release_officer",))
        with pytest.raises(Forbidden):
            await place.ratifications.answer(same, release.id, OwnerState.RATIFIED, None)
        await place.ratifications.answer(officer("DOS"), release.id, OwnerState.RATIFIED, None)

    at_work(postgres, test)


def test_an_owner_s_act_that_is_refused_is_on_record_and_says_nothing_of_the_item(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        item = await place.item(await place.case(), "DOS")
        recall, stranger = RecallService(place.work), officer("CBP")
        found = []
        for one in (item, new_id("itm")):
            before = len(await entries(place, AUDITOR, "call:access:refused"))
            with pytest.raises(NotFound):
                await place.verifications.answer(stranger, one, Confirmation.CONFIRMED, None)
            with pytest.raises(NotFound):
                await recall.announce(stranger, one, NoticeKind.DISPUTED, "t", None)
            with pytest.raises(NotFound):
                await place.ratifications.answer(stranger, one, OwnerState.REFUSED, None)
            new = (await entries(place, AUDITOR, "call:access:refused"))[: -before or None]
            found.append([(entry.actor_sub, entry.subjects, entry.detail) for entry in new])
        assert found[0] == found[1]
        assert sorted(detail["route"] for _, _, detail in found[0]) == [
            "notice:announce",
            "release:ratify",
            "verification:answer",
        ]

    at_work(postgres, test)


def test_a_liaison_s_grant_hangs_on_nothing_that_the_liaison_may_read(postgres: Database) -> None:
    """Somebody who is also an officer elsewhere passed the check of roles, and saw who had received what."""

    async def test(place: Workplace) -> None:
        item = await place.item(await place.case(), "DOS")
        both = Actor(sub="lia", agency="STATE-EX", roles=("liaison", "release_officer"))
        grant = await place.grant("DOS", item)
        with postgres.owner() as connection:
            connection.execute("UPDATE permission_grant SET recorded_agency = 'STATE-EX' WHERE id = %s", (grant.id,))
        await place.grants.read(both, grant.id)
        impacts = ImpactService(place.work, place.grants)
        await impacts.of(officer("DOS"), grant.id, "", "", 10)
        with pytest.raises(NotFound):
            await impacts.of(both, grant.id, "", "", 10)

    at_work(postgres, test)


def test_an_administrator_speaks_for_no_owner_with_a_second_role_in_the_token(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(place: Edge) -> None:
        mixed = place.token("DOS", "admin", "release_officer")
        plain = place.token("DOS", "release_officer")
        unknown = {kind: f"{kind}_{'a' * 26}" for kind in ("itm", "rel", "gra", "not", "req")}
        for path, body in (
            (f"/v1/releases/{unknown['rel']}/ratification", {"decision": "ratified"}),
            (f"/v1/items/{unknown['itm']}/verifications", {"outcome": "confirmed"}),
            (f"/v1/items/{unknown['itm']}/lift", {"reason": "r"}),
            (f"/v1/notices/{unknown['not']}/lift", {}),
            (f"/v1/permission-requests/{unknown['req']}/decision", {"decision": "granted"}),
            (f"/v1/admin/grants/{unknown['gra']}/entered-in-error", {"reason": "r"}),
        ):
            refused = await place.call(mixed, "POST", path, json=body)
            assert refused.status_code == 403, path
            assert (await place.call(plain, "POST", path, json=body)).status_code == 404, path

    at_the_edge(fresh_postgres, tmp_path, test)


def test_strangers_do_not_find_out_who_is_a_partner_nor_fill_the_log(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge) -> None:
        signed = {"X-Broker-Signature": f"t=1,v1={'0' * 64}"}
        faces = []
        for name in ("cbp-atsp", "nobody"):
            path = f"/v1/callbacks/{name}?transactionId=a&taskId=b"
            for content in (b"x", b"x" * 1_100_000):
                answer = await place.client.post(path, content=content, headers=signed)
                faces.append((answer.status_code, {**answer.json(), "instance": None}))
        assert faces[:2] == faces[2:]
        for _ in range(ON_RECORD.burst + 20):
            await place.client.post("/v1/callbacks/cbp-atsp?transactionId=a&taskId=b", content=b"x", headers=signed)
        auditor = place.token("DHS", "auditor")
        found = await place.call(auditor, "GET", "/v1/audit/entries?tag=partner:callback:refused&limit=500")
        kept = len(found.json()["items"])
        assert ON_RECORD.burst <= kept < ON_RECORD.burst + 15, found.text[:300]

    at_the_edge(fresh_postgres, tmp_path, test)


def test_one_caller_keeps_only_so_many_answers_open(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge) -> None:
        ana, other = place.token("ICE-HSI", "analyst", sub="ana"), place.token("ICE-HSI", "analyst", sub="otto")
        case = (await place.made(ana, "/v1/cases", {"reference": "R", "title": "An invented case"}))["id"]
        search = (await place.search(ana, search_terms(case, ["cbp-atsp"]), small_jpeg()))["id"]
        path = f"/v1/searches/{search}?wait=20"
        waiting = [asyncio.create_task(place.call(ana, "GET", path)) for _ in range(MOST_OPEN)]
        watch = place.app.state.services.watch
        while watch.room(Actor(sub="ana", agency="ICE-HSI")):
            await asyncio.sleep(0.01)
        one_more = await asyncio.wait_for(place.call(ana, "GET", path), 5)
        assert one_more.status_code == 200
        assert (await place.call(ana, "GET", f"/v1/searches/{search}/events")).status_code == 429
        others = asyncio.create_task(place.call(other, "GET", path))
        await asyncio.sleep(0.3)
        assert not others.done()
        await place.call(ana, "POST", f"/v1/searches/{search}/cancel")
        assert {one.status_code for one in await asyncio.gather(*waiting, others)} == {200}
        assert watch.room(Actor(sub="ana", agency="ICE-HSI"))

    at_the_edge(fresh_postgres, tmp_path, test)


def test_a_justification_that_cannot_be_stored_is_refused_as_such(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge) -> None:
        asked = {
            "item": new_id("itm"),
            "recipient": "FBI",
            "action": "release",
            "purpose": "criminal_investigation",
            "case_id": new_id("cas"),
            "justification": "a\x00b",
        }
        answer = await place.call(place.token("ICE-HSI", "analyst"), "POST", "/v1/permission-requests", json=asked)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/justification")

    at_the_edge(fresh_postgres, tmp_path, test)


def test_an_owner_does_not_learn_that_a_probe_went_to_other_partners_before(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test(place: Edge) -> None:
        ana = place.token("ICE-HSI", "analyst", sub="ana")
        case = (await place.made(ana, "/v1/cases", {"reference": "R", "title": "An invented case"}))["id"]
        for partner in ("dos-ccd", "cbp-atsp"):
            await place.search(ana, search_terms(case, [partner]), small_jpeg())

        async def before(token: str) -> dict[str, int]:
            found = await place.call(token, "GET", "/v1/oversight/reports/probes")
            return {row["partner"]: row["searched_before"] for row in json.loads(found.content)["rows"]}

        assert await before(place.token("DHS", "auditor")) == {"cbp-atsp": 1, "dos-ccd": 0}
        assert await before(place.token("CBP", "release_officer")) == {"cbp-atsp": 0}

    at_the_edge(fresh_postgres, tmp_path, test)
