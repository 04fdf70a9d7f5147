"""A liaison's answer is none before a second liaison's word, and until then the owner has its own."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.grants.model import Evidence, GrantStatus
from broker.kernel.errors import Conflict
from broker.kernel.ids import AgencyId
from broker.release.model import Release
from broker.release.permission import answers
from broker.release.permission.answers import Answer, AnswerService
from broker.release.permission.model import PartState, PermissionRequest
from broker.release.permission.repository import PermissionRepository
from broker.release.permission.requests import PermissionService, Question
from broker.storage.sealing import Sealer
from tests.support.postgres import Database
from tests.support.traitors import assert_caught
from tests.support.workplace import ANALYST, OUTER_KEY, Workplace, codes, officer, workplace

LIAISON = Actor(sub="lia", agency="STATE-EX", roles=("liaison",))
SECOND = Actor(sub="lou", agency="STATE-EX", roles=("liaison",))
LETTER = Evidence(reference="an invented letter", sha256="0" * 64)


class Desk:
    """Requests and answers at a workplace."""

    def __init__(self, place: Workplace) -> None:
        repository = PermissionRepository(Sealer(OUTER_KEY))
        self.place = place
        self.requests = PermissionService(place.work, place.door, repository)
        self.answers = AnswerService(place.grants, repository)

    async def asked(self, case: Any, item: Any) -> PermissionRequest:
        question = Question(request=self.place.wish(case, item), owners=(), justification="", expires_at=None)
        return await self.requests.ask(ANALYST, question, self.place.policy)

    async def said(self, actor: Actor, request: str, decision: PartState, **how: Any) -> PermissionRequest:
        terms = {"valid_from": None, "valid_until": None, "max_uses": None, "onward": False, "caveats": ()}
        evidence = None if "release_officer" in actor.roles else LETTER
        answer = {"owner": AgencyId("DOS"), "decision": decision, "note": None, "fields": None, "evidence": evidence}
        return await self.answers.answer(actor, request, Answer(**(terms | answer | how)), self.place.policy)

    async def state(self, request: str) -> PartState:
        return (await self.requests.read(ANALYST, request, self.place.policy.bundle.agencies)).state

    async def told(self, request: str) -> int:
        async with self.place.work.begin() as tx:
            query = "SELECT 1 FROM notification WHERE subject = 'permission_answered' AND about::text LIKE %s"
            return len(await tx.rows(query, (f"%{request}%",)))


def at_desk(database: Database, test: Callable[[Desk, Any, Any], Awaitable[None]]) -> None:
    async def run() -> None:
        async with workplace(database) as place:
            case = await place.case()
            await test(Desk(place), case, await place.item(case, "DOS"))

    asyncio.run(run())


def test_it_counts_with_the_second_liaison_s_word(postgres: Database) -> None:
    async def test(desk: Desk, case: Any, item: Any) -> None:
        request = (await desk.asked(case, item)).id
        said = await desk.said(LIAISON, request, PartState.GRANTED, max_uses=1, note="By letter.")
        pending = said.parts[0]
        assert (await desk.state(request), await desk.told(request)) == (PartState.ACKNOWLEDGED, 0)
        assert "permission_missing" in codes(await desk.place.release(case, item))
        assert pending.grant_id is not None
        grant = await desk.answers.confirm(SECOND, pending.grant_id, desk.place.policy)
        assert grant.status is GrantStatus.ACTIVE
        assert (await desk.state(request), await desk.told(request)) == (PartState.GRANTED_WITH_CONDITIONS, 1)
        [part] = (await desk.requests.read(ANALYST, request, desk.place.policy.bundle.agencies)).parts
        assert part.note == "By letter."
        assert isinstance(await desk.place.release(case, item), Release)

    at_desk(postgres, test)


def test_traitor_that_settles_what_nobody_has_confirmed_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "GrantStatus", SimpleNamespace(PENDING=None))
    assert_caught(test_it_counts_with_the_second_liaison_s_word, postgres)


@pytest.mark.parametrize("decision", [PartState.DENIED, PartState.GRANTED])
def test_the_owner_s_own_answer_takes_its_place(postgres: Database, decision: PartState) -> None:
    async def test(desk: Desk, case: Any, item: Any) -> None:
        request = (await desk.asked(case, item)).id
        pending = (await desk.said(LIAISON, request, PartState.GRANTED)).parts[0].grant_id
        assert pending is not None
        await desk.said(officer("DOS"), request, decision)
        assert await desk.state(request) is decision
        with pytest.raises(Conflict):
            await desk.answers.confirm(SECOND, pending, desk.place.policy)
        dropped = (await desk.place.grants.read(officer("DOS"), pending)).grant
        assert dropped.status is GrantStatus.REVOKED
        released = isinstance(await desk.place.release(case, item), Release)
        assert released is (decision is PartState.GRANTED)

    at_desk(postgres, test)


def test_a_second_word_and_the_owner_s_no_at_once_leave_one_of_them(postgres: Database) -> None:
    async def test(desk: Desk, case: Any, item: Any) -> None:
        for _ in range(10):
            request = (await desk.asked(case, item)).id
            pending = (await desk.said(LIAISON, request, PartState.GRANTED)).parts[0].grant_id
            assert pending is not None
            outcomes = await asyncio.gather(
                desk.answers.confirm(SECOND, pending, desk.place.policy),
                desk.said(officer("DOS"), request, PartState.DENIED),
                return_exceptions=True,
            )
            failed = [one for one in outcomes if isinstance(one, BaseException)]
            assert [type(one) for one in failed] == [Conflict]
            active = (await desk.place.grants.read(officer("DOS"), pending)).grant.status is GrantStatus.ACTIVE
            assert active is (await desk.state(request) is PartState.GRANTED)
            if active:
                await desk.place.endings.revoke(officer("DOS"), pending, "x", desk.place.policy.bundle.agencies)

    at_desk(postgres, test)
