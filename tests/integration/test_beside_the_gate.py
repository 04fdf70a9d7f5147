"""What goes past the gate on a release: free words beside an item, and looks that a grant of an owner permits."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.api import problems
from broker.audit.events import Actor
from broker.cases.model import CaseStatus
from broker.decision import gate, loader
from broker.decision.service import DecisionService
from broker.grants.model import Scope
from broker.kernel.errors import Invalid
from broker.kernel.ids import AgencyId, ItemId
from broker.kernel.words import Action
from broker.recall import service as recall_module
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from broker.release import service as release_service
from broker.release.held import escrow, waking
from broker.release.held.escrow import HeldReleaseService
from broker.release.held.model import HeldRelease, HeldState
from broker.release.model import Recipient
from broker.release.permission.model import PartState
from broker.release.permission.repository import PermissionRepository
from broker.release.permission.requests import PermissionService, Question
from broker.storage.sealing import Sealer
from tests.support.edge import edge
from tests.support.postgres import Database
from tests.support.traitors import assert_caught, each_caught
from tests.support.workplace import ANALYST, OUTER_KEY, Workplace, analyst, officer, workplace

TOLD = "The visa application of this person names a second passport."
FBI = analyst("FBI")
HARMLESS = "We ask because of a lead in an open case."


def at_work(database: Database, test: Callable[[Workplace], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with workplace(database) as place:
            await test(place)

    asyncio.run(run())


async def read_up(place: Workplace) -> None:
    """Sweep until nothing that is on record by now can wake anything: of the log only what no running act is before is read."""
    left = "SELECT FROM audit_entry e, held_cursor c WHERE (e.xact, e.id) > (c.xact, c.entry_id) LIMIT 1"
    while True:
        await place.held.sweep()
        async with place.work.begin() as tx:
            if not await tx.rows(left):
                return
        await asyncio.sleep(0.05)


def permissions(place: Workplace) -> PermissionService:
    return PermissionService(place.work, place.door, PermissionRepository(Sealer(OUTER_KEY)))


async def seen_of_dos(place: Workplace, case: Any) -> ItemId:
    """An item of DOS's whose words the analyst has read."""
    parts = [{"text": TOLD, "owners": ["DOS"], "sources": [{"item": "x"}]}]
    item = await place.item(case, "DOS", content={"title": "t", "parts": parts})
    assert await place.door.view(ANALYST, item) is not None
    return item


def test_the_words_of_a_request_repeat_no_other_owner_s_information(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        dos, both = await seen_of_dos(place, case), await place.item(case, "CBP", "DOS")

        async def asked(item: ItemId, words: str, *owners: str) -> Any:
            wish = place.wish(case, item)
            named = tuple(AgencyId(one) for one in owners)
            question = Question(request=wish, owners=named, justification=words, expires_at=None)
            return await permissions(place).ask(ANALYST, question, place.policy)

        with pytest.raises(Invalid) as caught:
            await asked(both, TOLD, "CBP")
        assert caught.value.pointer == "/justification"
        assert TOLD not in caught.value.detail
        with pytest.raises(Invalid):
            await asked(both, f"Look:\n  {TOLD}")
        # The owner may be told what is its own, and everybody what is nobody's.
        await asked(dos, TOLD, "DOS")
        made = await asked(both, HARMLESS)
        async with place.work.begin() as tx:
            await tx.write(
                "UPDATE permission_part SET state = %s WHERE request_id = %s AND owner = 'CBP'",
                (PartState.NEEDS_INFORMATION.value, made.id),
            )
        with pytest.raises(Invalid):
            await permissions(place).inform(ANALYST, made.id, TOLD)
        await permissions(place).inform(ANALYST, made.id, HARMLESS)

    at_work(postgres, test)


def test_the_words_around_a_release_and_a_verification_repeat_none_either(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        await seen_of_dos(place, case)
        cbp = await place.item(case, "CBP")
        for person, address in ((TOLD, "1 Sample Street"), ("R. Invented", TOLD)):
            recipient = Recipient(agency=AgencyId("FBI"), person=person, address=address)
            wish = place.wish(case, cbp).model_copy(update={"recipient": recipient})
            with pytest.raises(Invalid):
                await place.releases.release(ANALYST, wish, place.policy, "key-" + person[:3], "x")
        danger = f"A child was taken this morning.\n{TOLD}"
        with pytest.raises(Invalid):
            await place.release(case, cbp, danger=danger)
        with pytest.raises(Invalid):
            await place.verifications.ask(ANALYST, cbp, (), TOLD)
        await place.verifications.ask(ANALYST, cbp, (), HARMLESS)

    at_work(postgres, test)


def test_a_look_that_an_owner_permits_shows_what_it_is_held_to_and_ends_with_a_notice(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await seen_of_dos(place, case)
        now = datetime.now(UTC)
        period = {"valid_from": now - timedelta(minutes=1), "valid_until": now + timedelta(days=1)}
        await place.grant("DOS", item, action=Action.VIEW, scope=Scope(case_id=case), caveats=("no_onward",), **period)
        seen = await place.door.view(FBI, item)
        assert seen is not None
        assert "no_onward" in seen.caveats
        recall = RecallService(place.work)
        notice = await recall.announce(officer("DOS"), item, NoticeKind.WITHDRAWN, "Somebody else.", None)
        assert await place.door.view(FBI, item) is None
        assert await place.door.view(ANALYST, item) is not None, "who asked looks on, and hears of it"

        async def told(subject: str) -> set[str]:
            async with place.work.begin() as tx:
                query = "SELECT recipient FROM notification WHERE subject = %s AND about ->> 'item' = %s"
                return {row.recipient for row in await tx.rows(query, (subject, item))}

        assert await told("notice_recorded") == {"FBI", "ICE-HSI"}
        await recall.lift(officer("DOS"), notice.id)
        assert await told("notice_lifted") == {"FBI", "ICE-HSI"}
        assert await place.door.view(FBI, item) is not None

    at_work(postgres, test)


def test_a_lift_wakes_what_is_held(fresh_postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        held = await place.hold(case, item)
        assert isinstance(held, HeldRelease)
        await read_up(place)
        lifted = await place.grants.lift(officer("DOS"), item, "it is public now", place.policy)
        second = Actor(sub="second", agency="DOS", roles=("release_officer",))
        await place.grants.confirm(second, lifted.id, place.policy.bundle.agencies)
        for _ in range(20):
            await place.held.sweep()
            if (await place.held.read(ANALYST, held.id)).state is HeldState.RELEASED:
                return
            await asyncio.sleep(0.1)
        pytest.fail("it is held still")

    at_work(fresh_postgres, test)


def test_no_error_repeats_what_was_sent(fresh_postgres: Database, tmp_path: Path) -> None:
    async def run() -> None:
        async with edge(fresh_postgres, tmp_path) as place:
            body = {"decision": "granted", "duties": [{"duty": "Jane Invented A1234"}]}
            path = f"/v1/permission-requests/req_{'a' * 26}/decision"
            answer = await place.call(place.token("DOS", "release_officer"), "POST", path, json=body)
            assert answer.status_code == 422
            assert "Invented" not in answer.text

    asyncio.run(run())


def test_nothing_is_passed_on_for_a_case_that_is_closed(postgres: Database) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item)
        await place.cases.close(ANALYST, case)
        for asked in (
            lambda: place.release(case, item),
            lambda: place.hold(case, item),
            lambda: place.releases.dry_run(ANALYST, place.wish(case, item), place.policy),
        ):
            with pytest.raises(Invalid) as caught:
                await asked()
            assert caught.value.pointer == "/case_id"

    at_work(postgres, test)


def test_a_held_release_that_fails_lets_the_others_have_their_turn(
    fresh_postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(place: Workplace) -> None:
        case = await place.case()
        first, second = await place.item(case, "DOS"), await place.item(case, "DOS")
        held = [await place.hold(case, one) for one in (first, second)]
        ids = [one.id for one in held if isinstance(one, HeldRelease)]
        assert len(ids) == 2
        await read_up(place)
        for one in (first, second):
            await place.grant("DOS", one)
        honest, looked = HeldReleaseService.look, []

        async def look(self: HeldReleaseService, held_id: str) -> None:
            looked.append(held_id)
            if held_id == ids[0]:
                raise RuntimeError("it cannot be decided")
            await honest(self, held_id)

        monkeypatch.setattr(HeldReleaseService, "look", look)
        # One at a time, so that whoever fails and keeps its place keeps the others from theirs.
        monkeypatch.setattr(escrow, "_AT_ONCE", 1)
        for _ in range(30):
            await place.held.sweep()
            if (await place.held.read(ANALYST, ids[1])).state is HeldState.RELEASED:
                # Each of the two grants may wake it once; by itself it comes again in a minute.
                assert looked.count(ids[0]) <= 2, "it is not tried at every sweep"
                return
            await asyncio.sleep(0.1)
        pytest.fail("the second one never had its turn")

    at_work(fresh_postgres, test)


def words_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async def passed(*_: Any) -> None:
        return None

    monkeypatch.setattr(DecisionService, "check_words", passed)


def a_look_minds_no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gate, loader):
        monkeypatch.setattr(module, "looks_from_outside", lambda question, lineage: False)


def who_only_looked_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: Any) -> dict[AgencyId, ItemId]:
        return {}

    monkeypatch.setattr(recall_module, "given_whole", nobody)


def a_lift_is_taken_for_a_grant_to_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = waking._WAKE_FOR_GRANTS.replace("g.lift OR", "false OR")
    assert blind != waking._WAKE_FOR_GRANTS
    monkeypatch.setattr(waking, "_WAKE_FOR_GRANTS", blind)


def cases_are_open_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = release_service.find_case

    async def open_still(*asked: Any, **how: Any) -> Any:
        found = await honest(*asked, **how)
        return found and found.model_copy(update={"status": CaseStatus.OPEN})

    monkeypatch.setattr(release_service, "find_case", open_still)


@each_caught(
    (test_a_lift_wakes_what_is_held, a_lift_is_taken_for_a_grant_to_somebody),
    (test_nothing_is_passed_on_for_a_case_that_is_closed, cases_are_open_for_ever),
    (test_the_words_of_a_request_repeat_no_other_owner_s_information, words_are_not_looked_at),
    (test_the_words_around_a_release_and_a_verification_repeat_none_either, words_are_not_looked_at),
    (test_a_look_that_an_owner_permits_shows_what_it_is_held_to_and_ends_with_a_notice, a_look_minds_no_notice),
    (
        test_a_look_that_an_owner_permits_shows_what_it_is_held_to_and_ends_with_a_notice,
        who_only_looked_is_not_told,
    ),
)
def test_traitor_without_the_rule_is_caught(
    fresh_postgres: Database, monkeypatch: pytest.MonkeyPatch, rule: Callable[[Database], None], broken: Any
) -> None:
    broken(monkeypatch)
    assert_caught(rule, fresh_postgres)


def test_traitor_that_repeats_pydantic_s_words_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "_NEUTRAL", {})
    assert_caught(test_no_error_repeats_what_was_sent, fresh_postgres, tmp_path)
