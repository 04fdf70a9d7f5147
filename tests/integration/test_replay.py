"""The answer to a repeated release is decided anew, and a build that repeats it unasked is caught."""

import asyncio
import time

import pytest

from broker.audit.events import Actor
from broker.decision import gate
from broker.decision.model import Decision, Facts, Question
from broker.kernel.ids import ReleaseId
from broker.release.model import Release
from broker.release.repository import ReleaseRepository
from broker.release.service import Refused, ReleaseService
from broker.storage.sealing import Sealer
from broker.storage.unit_of_work import Transaction
from tests.support.postgres import Database
from tests.support.workplace import OUTER_KEY, officer, workplace


class Forgetful(ReleaseService):
    """The traitor: what was permitted once is repeated without asking again."""

    async def repeat_within(self, tx: Transaction, actor: Actor, made: str) -> Release | Refused | None:
        del actor
        return await self._releases.read(tx, ReleaseId(made))


def replayed_after_revocation(database: Database, build: type[ReleaseService]) -> Release | Refused:
    async def run() -> Release | Refused:
        async with workplace(database) as place:
            place.releases = build(place.work, place.door, ReleaseRepository(Sealer(OUTER_KEY)))
            case = await place.case()
            item = await place.item(case, "DOS")
            granted = await place.grant("DOS", item)
            assert isinstance(await place.release(case, item, key=item), Release)
            await place.endings.revoke(officer("DOS"), granted.id, "gone", place.policy.bundle.agencies)
            return await place.release(case, item, key=item)

    return asyncio.run(run())


def test_a_replay_after_the_revocation_is_refused(postgres: Database) -> None:
    assert isinstance(replayed_after_revocation(postgres, ReleaseService), Refused)


def test_traitor_that_replays_without_asking_again_is_caught(postgres: Database) -> None:
    assert isinstance(replayed_after_revocation(postgres, Forgetful), Release)


def test_traitor_that_keeps_a_decision_for_five_seconds_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, kept = gate.decide, {}

    def cached(question: Question, facts: Facts, policy: gate.Policy, alarm: gate.Alarm) -> Decision:
        made, decision = kept.get(question, (0.0, None))
        if decision is None or time.monotonic() - made > 5:
            decision = honest(question, facts, policy, alarm)
            kept[question] = (time.monotonic(), decision)
        return decision

    monkeypatch.setattr(gate, "decide", cached)
    with pytest.raises(AssertionError):
        test_a_replay_after_the_revocation_is_refused(postgres)
