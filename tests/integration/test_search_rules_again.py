"""The rules are asked again before each call of a leg, under what is so then."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker.kernel.clock import SystemClock
from broker.kernel.ids import CaseId, PartnerId
from broker.kernel.words import EvidentiaryBasis, LegState
from broker.policy.activation import PolicyInForce, activate
from broker.policy.holder import Policies
from broker.policy.question import PolicyEngineFailure
from broker.policy.search_engine import SearchEngine
from broker.policy.search_question import SearchRefusal, SearchRefusalCode
from broker.search.model import Leg, Search
from broker.search.recheck import Recheck
from broker.storage.unit_of_work import Transaction
from tests.support.desk import Desk, desk, serving
from tests.support.policy_files import at_partner, edited, written
from tests.support.postgres import Database
from tests.support.raw_partner import raw_partner
from tests.support.workplace import ANALYST, Workplace, workplace


async def waiting(made: Desk, case: CaseId) -> tuple[Search, Leg]:
    """A search of CBP that was in order when it was accepted."""
    search = await made.read(await made.accept("cbp-atsp"))
    return search.model_copy(update={"terms": search.terms.model_copy(update={"case_id": case})}), search.legs[0]


def asked(database: Database, folder: Path, test: Callable[[Workplace, Desk, CaseId], Awaitable[None]]) -> None:
    async def run() -> None:
        async with workplace(database) as place, desk(database, folder, {"cbp-atsp": "http://127.0.0.1:1"}) as made:
            await test(place, made, await place.case())

    asyncio.run(run())


def codes(refusals: tuple[SearchRefusal, ...] | None) -> set[str]:
    assert refusals is not None
    return {refusal.code.value for refusal in refusals}


def shipped(place: Workplace) -> PolicyInForce:
    from tests.support.workplace import shipped_policies

    assert place.policy is shipped_policies().current
    return PolicyInForce(shipped_policies())


async def refusals(
    place: Workplace, recheck: Recheck, search: Search, leg: Leg, later: timedelta = timedelta()
) -> tuple[SearchRefusal, ...] | None:
    """What the rules say, some time after the search was accepted."""

    class Then(Transaction):
        async def clock(self) -> datetime:
            return await super().clock() + later

    async with place.work.begin() as tx:
        return await recheck.refusals(Then(tx.connection), search, leg)


def test_a_closed_case_a_later_day_and_another_policy_stop_what_was_not_sent(
    postgres: Database, tmp_path: Path
) -> None:
    async def test(place: Workplace, made: Desk, case: CaseId) -> None:
        search, leg = await waiting(made, case)
        now = partial(refusals, place, Recheck(shipped(place)))
        assert await now(search, leg) == ()
        years_later = await now(search, leg, timedelta(days=3650))
        assert codes(years_later) == {"probe_too_old", "agreement_out_of_force"}
        # A younger probe is asked for, in a policy that another process has activated meanwhile.
        raised = edited("partners.yaml", "probe_max_age_days: 3650", "probe_max_age_days: 100")
        other = Policies(written(raised, tmp_path / "raised"), SystemClock())
        async with place.work.begin() as tx:
            await activate(tx, other.current.bundle, "tests")
        [refusal] = await now(search, leg) or ()
        assert refusal.code is SearchRefusalCode.PROBE_TOO_OLD
        assert "partners.yaml" in str(refusal.rule)
        async with place.work.begin() as tx:
            await activate(tx, place.policy.bundle, "tests")
        await place.cases.close(ANALYST, case)
        assert codes(await now(search, leg)) == {"case_not_open"}
        gone = search.model_copy(update={"terms": search.terms.model_copy(update={"case_id": CaseId("cas_gone")})})
        assert codes(await now(gone, leg)) == {"case_not_open"}
        unknown = leg.model_copy(update={"partner": PartnerId("gone-away")})
        assert "partner_unknown" in codes(await now(search, unknown))

    asked(postgres, tmp_path, test)


def test_a_partner_that_is_switched_off_is_not_sent_what_waits(fresh_postgres: Database, tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            workplace(fresh_postgres) as place,
            raw_partner() as partner,
            desk(fresh_postgres, tmp_path, {"cbp-atsp": partner.url}) as made,
        ):
            made.recheck = Recheck(shipped(place))
            accepted = await made.accept("cbp-atsp")
            off = at_partner("cbp-atsp", "approved: true", "approved: false")
            async with place.work.begin() as tx:
                await activate(tx, Policies(written(off, tmp_path / "off"), SystemClock()).current.bundle, "tests")
            async with serving(made.worker()):
                [leg] = (await made.until(accepted)).legs
            assert (leg.state, leg.calls) == (LegState.REFUSED, 0)
            assert str(leg.reason).startswith("no_longer_agreed: partner_not_approved")
            assert partner.bodies == {}

    asyncio.run(run())


def test_what_nobody_can_say_is_not_sent(postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere:
        async def unlocked(self, tx: Any) -> None:
            del tx

    async def test(place: Workplace, made: Desk, case: CaseId) -> None:
        search, leg = await waiting(made, case)
        assert await refusals(place, Recheck(Nowhere()), search, leg) is None

        def broken(*_: Any) -> Any:
            raise PolicyEngineFailure("the policy engine could not answer")

        monkeypatch.setattr(SearchEngine, "refusals", broken)
        again = await refusals(place, Recheck(shipped(place)), search, leg)
        assert codes(again) == {"engine_failure"}

    asked(postgres, tmp_path, test)


def test_a_leg_that_is_refused_before_it_is_sent_never_reaches_the_wire(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    refusal = SearchRefusal(code=SearchRefusalCode.CASE_NOT_OPEN, rule=None, detail="the case is not open any more")

    class Refuses:
        async def refusals(self, _tx: Transaction, _search: Search, leg: Leg) -> tuple[SearchRefusal, ...]:
            return (refusal,) if leg.partner == "p" else ()

    async def run() -> None:
        async with raw_partner() as partner, desk(fresh_postgres, tmp_path, {"p": partner.url}) as made:
            made.recheck = Refuses()
            async with serving(made.worker()):
                ended = await made.until(await made.accept("p"))
            [leg] = ended.legs
            assert (leg.state, leg.reason, leg.calls) == (LegState.REFUSED, "no_longer_agreed: case_not_open", 0)
            assert leg.refusals == (refusal,)
            assert partner.bodies == {}

    asyncio.run(run())


def test_a_leg_of_which_nobody_can_say_whether_it_may_go_ends_at_its_deadline(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    class Undecided:
        async def refusals(self, _tx: Transaction, _search: Search, _leg: Leg) -> None:
            return None

    async def run() -> None:
        async with raw_partner() as partner, desk(fresh_postgres, tmp_path, {"p": partner.url}) as made:
            made.recheck = Undecided()
            async with serving(made.worker()):
                ended = await made.until(await made.accept("p", seconds=2))
            assert (ended.legs[0].state, ended.legs[0].calls) == (LegState.TIMED_OUT, 0)
            assert partner.bodies == {}

    asyncio.run(run())


def test_the_basis_of_a_search_is_what_was_asked_under(postgres: Database, tmp_path: Path) -> None:
    async def test(place: Workplace, made: Desk, case: CaseId) -> None:
        search, leg = await waiting(made, case)
        bare = search.model_copy(
            update={"terms": search.terms.model_copy(update={"evidentiary_basis": EvidentiaryBasis.NONE})}
        )
        assert codes(await refusals(place, Recheck(shipped(place)), bare, leg)) == {"basis_below_floor"}

    asked(postgres, tmp_path, test)
