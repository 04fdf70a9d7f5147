"""The answer to a repeated release is decided anew, and a build that repeats it unasked is caught."""

import asyncio

from broker.audit.events import Actor
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
