"""A refused release waits for its last permission, and is then decided anew: made once, or not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from broker.decision import gate
from broker.decision.model import Permit
from broker.items.reader import ItemReader
from broker.kernel.errors import Conflict, Invalid, NotFound
from broker.policy.activation import PolicyInForce
from broker.release.held.model import HeldRelease, HeldState
from broker.release.model import Release
from broker.release.service import Refused
from tests.integration.revocation_race import HeldLoader, UnlockedLoader
from tests.support.figures import keep
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, analyst, codes, officer, workplace

Play = Callable[[Workplace], Awaitable[Any]]
ROUNDS = 100


def played(database: Database, play: Play, **how: Any) -> Any:
    async def run() -> Any:
        async with workplace(database, **how) as place:
            return await play(place)

    return asyncio.run(run())


async def waiting(place: Workplace, *owners: str, **how: Any) -> tuple[HeldRelease, str, str]:
    case = await place.case()
    item = await place.item(case, *(owners or ("DOS",)))
    held = await place.hold(case, item, **how)
    assert isinstance(held, HeldRelease)
    return held, item, case


async def swept(place: Workplace, held: HeldRelease) -> HeldRelease:
    """What it has become when the worker has looked; the log is read up to the transactions still running."""
    for _ in range(40):
        await place.held.sweep()
        if (now := await place.held.read(ANALYST, held.id)).state is not HeldState.HELD:
            return now
        await asyncio.sleep(0.02)
    return now


def test_it_is_released_when_the_last_permission_arrives(fresh_postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        held, item, _ = await waiting(place, "CBP", "DOS")
        assert {one.owner for one in held.refusal.missing} == {"CBP", "DOS"}
        await place.grant("DOS", item)
        still = await swept(place, held)
        assert still.state is HeldState.HELD
        assert {one.owner for one in still.refusal.missing} == {"CBP"}
        await place.grant("CBP", item)
        now = await swept(place, held)
        assert now.state is HeldState.RELEASED
        assert now.release_id is not None
        made = await place.releases.read(ANALYST, now.release_id)
        assert (made.requested_by, made.component, len(made.grants)) == (ANALYST.sub, "ICE-HSI", 2)
        async with place.work.begin() as tx:
            [entry] = await tx.rows(
                "SELECT actor_kind, actor_sub, actor_agency FROM audit_entry WHERE tag = 'release:held:ended'"
            )
            told = await tx.rows("SELECT recipient, about FROM notification WHERE subject = 'release_held_ended'")
        assert tuple(entry) == ("service", "held-release", "ICE-HSI")
        assert [tuple(one) for one in told] == [("ICE-HSI", {"held_release": held.id, "release": made.id})]

    played(fresh_postgres, play)


def test_what_is_permitted_is_released_and_what_no_permission_cures_is_refused(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        free, locked = await place.item(case, "DOS"), await place.item(case, "DOS")
        await place.grant("DOS", free)
        await place.grant("DOS", locked, caveats=("department_only",))
        assert isinstance(await place.hold(case, free), Release)
        refusal = await place.hold(case, locked)
        assert isinstance(refusal, Refused)
        assert codes(refusal) == {"caveat_unmet"}
        with pytest.raises(NotFound):
            await place.hold(case, "itm_" + "a" * 26)
        with pytest.raises(Invalid):
            await place.hold(case, locked, expires_at=datetime.now(UTC) - timedelta(seconds=1))

    played(postgres, play)


def test_repeated_it_is_the_same_one(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        first, again = await place.hold(case, item, key="once"), await place.hold(case, item, key="once")
        assert isinstance(first, HeldRelease)
        assert isinstance(again, HeldRelease)
        assert first.id == again.id

    played(postgres, play)


def test_another_reason_ends_it_and_so_do_its_time_its_case_and_its_requester(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        # The owner permits, under a caveat that is not met: refused, with the reason that changed.
        held, item, _ = await waiting(place)
        await place.grant("DOS", item, caveats=("department_only",))
        await place.held.look(held.id)
        refused = await place.held.read(ANALYST, held.id)
        assert refused.state is HeldState.REFUSED
        assert {one.code.value for one in refused.refusal.reasons} == {"caveat_unmet"}
        # Its time is over.
        soon, item, _ = await waiting(place, expires_at=datetime.now(UTC) + timedelta(seconds=0.3))
        await place.grant("DOS", item)
        await asyncio.sleep(0.4)
        await place.held.look(soon.id)
        assert (await place.held.read(ANALYST, soon.id)).state is HeldState.EXPIRED
        # Its case is closed.
        held, item, case = await waiting(place)
        await place.grant("DOS", item)
        await place.cases.close(ANALYST, case)
        await place.held.look(held.id)
        closed = await place.held.read(ANALYST, held.id)
        assert (closed.state, closed.ending) == (HeldState.REFUSED, "the case is not open any more")
        # It was withdrawn, which only its component may.
        held, item, _ = await waiting(place)
        with pytest.raises(NotFound):
            await place.held.withdraw(analyst("FBI"), held.id)
        await place.held.withdraw(ANALYST, held.id)
        with pytest.raises(Conflict):
            await place.held.withdraw(ANALYST, held.id)
        await place.grant("DOS", item)
        await place.held.look(held.id)
        assert (await place.held.read(ANALYST, held.id)).state is HeldState.WITHDRAWN

    played(postgres, play)


def test_a_grant_that_begins_later_is_waited_for(fresh_postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        held, item, _ = await waiting(place)
        now = datetime.now(UTC)
        await place.grant("DOS", item, valid_from=now + timedelta(seconds=0.5), valid_until=now + timedelta(days=1))
        assert (await swept(place, held)).state is HeldState.RELEASED

    played(fresh_postgres, play)


def test_nothing_looks_at_it_while_nothing_has_come(fresh_postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        held, _, case = await waiting(place)
        await swept(place, held)
        other = await place.item(case, "DOS")
        await place.grant("DOS", other, recipients=("STATE-EX-POLICE",))
        await asyncio.sleep(0.1)
        assert await place.held.sweep() == 0
        assert await place.held.sweep() == 0

    played(fresh_postgres, play)


def half_permitted(database: Database) -> HeldState:
    """What a held release of two owners becomes when one of them has permitted."""

    async def play(place: Workplace) -> HeldState:
        held, item, _ = await waiting(place, "CBP", "DOS")
        await place.grant("DOS", item)
        await place.held.look(held.id)
        return (await place.held.read(ANALYST, held.id)).state

    state: HeldState = played(database, play)
    return state


def test_traitor_that_releases_without_deciding_again_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert half_permitted(postgres) is HeldState.HELD
    decide = gate.decide

    def trusting(question: Any, facts: Any, *how: Any) -> Any:
        """What was waited for has come, so it is taken to be permitted."""
        outcome = decide(question, facts, *how)
        came = bool(facts.grants) and question.action.value == "release"
        return Permit(grants=(), rules=(), caveats=()) if came else outcome

    monkeypatch.setattr(gate, "decide", trusting)
    assert half_permitted(postgres) is HeldState.RELEASED


async def race(place: Workplace, loader: HeldLoader, watch: Any, rounds: int) -> tuple[int, int, int]:
    """Two workers look while the owner revokes: how many were released, late, and more than once."""
    released = late = twice = 0
    for number in range(rounds):
        loader.holding = False
        held, item, _ = await waiting(place)
        granted = await place.grant("DOS", item)
        loader.read.clear()
        loader.go_on.clear()
        loader.holding = number % 2 == 0
        looking = [asyncio.create_task(place.held.look(held.id)) for _ in range(2)]
        if loader.holding:
            await loader.read.wait()
        revoking = asyncio.create_task(
            place.endings.revoke(officer("DOS"), granted.id, "the race", place.policy.bundle.agencies)
        )
        if loader.holding:
            await asyncio.wait({revoking}, timeout=0.03)
            committed = await _made(watch, item) if revoking.done() else None
            loader.go_on.set()
        await revoking
        committed = committed if loader.holding and committed is not None else await _made(watch, item)
        await asyncio.gather(*looking)
        made = await _made(watch, item)
        released += made
        late += made - committed
        twice += made > 1
    return released, late, twice


async def _made(watch: Any, item: str) -> int:
    row = await (await watch.execute("SELECT count(*) FROM release WHERE item_id = %s", [item])).fetchone()
    return int(row[0])


def raced(database: Database, build: type[HeldLoader], rounds: int) -> tuple[int, int, int]:
    async def run() -> tuple[int, int, int]:
        made: list[HeldLoader] = []

        def loader(reader: ItemReader, policies: PolicyInForce) -> HeldLoader:
            made.append(build(reader, policies))
            return made[0]

        async with (
            workplace(database, loader) as place,
            await psycopg.AsyncConnection.connect(database.owner_url, autocommit=True) as watch,
        ):
            return await race(place, made[0], watch, rounds)

    return asyncio.run(run())


def test_after_a_revocation_has_answered_nothing_held_is_released(postgres: Database) -> None:
    released, late, twice = raced(postgres, HeldLoader, ROUNDS)
    assert (late, twice) == (0, 0)
    assert released > 0


@pytest.mark.deep
def test_two_thousand_rounds_of_what_was_held(postgres: Database) -> None:
    released, late, twice = raced(postgres, HeldLoader, 2_000)
    figures = {"rounds": 2_000, "released": released, "committed after the answer": late, "released twice": twice}
    keep("revoke-held-release-race", "held releases made after the revocation of their grant had answered", figures)
    assert (late, twice) == (0, 0)


def test_traitor_with_the_lock_taken_out_releases_late_what_was_held(postgres: Database) -> None:
    _, late, _ = raced(postgres, UnlockedLoader, 6)
    assert late > 0


def test_a_lead_waits_for_its_reviewers(fresh_postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        listed = await place.listed(case, "DOS")
        lead = await place.lead(case, listed)
        await place.grant("DOS", lead)
        held = await place.hold(case, lead)
        assert isinstance(held, HeldRelease)
        assert {one.code.value for one in held.refusal.reasons} == {"not_reviewed"}
        await place.review(listed, "rita", c1="possible", c2="excluded")
        assert (await swept(place, held)).state is HeldState.HELD
        await place.review(listed, "rolf", c1="possible", c2="excluded")
        assert (await swept(place, held)).state is HeldState.RELEASED

    played(fresh_postgres, play)
