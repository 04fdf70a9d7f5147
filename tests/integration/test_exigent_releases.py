"""In imminent danger a missing permission is not waited for: the owner is told, answers afterwards, and can end it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from broker.audit.events import Actor
from broker.decision import gate
from broker.decision.gate import decide
from broker.decision.model import Exigency, Question
from broker.kernel.clock import SystemClock
from broker.kernel.errors import Conflict, Invalid, NotFound
from broker.kernel.ids import AgencyId, PurposeId
from broker.kernel.words import Action, ItemKind, ReasonCode
from broker.oversight.reports import Reports
from broker.policy.question import Refused as RuleRefuses
from broker.provenance.lineage import Lineage
from broker.recall.service import RecallService
from broker.release.exigent.model import LIFETIME, OwnerState
from broker.release.model import Release
from broker.release.service import Refused
from tests.properties.values import facts
from tests.support.permission import CASE, ITEM, marking
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, analyst, codes, officer, workplace

DANGER = "A child was taken this morning and the car was seen an hour ago."
FBI = analyst("FBI")
AUDITOR = Actor(sub="augusta", agency="DHS", roles=("auditor",))
Play = Callable[[Workplace], Awaitable[Any]]


def played(database: Database, play: Play, **how: Any) -> Any:
    async def run() -> Any:
        async with workplace(database, **how) as place:
            return await play(place)

    return asyncio.run(run())


async def made(place: Workplace, *owners: str) -> tuple[Release, str, str]:
    case = await place.case()
    item = await place.item(case, *(owners or ("DOS",)))
    answer = await place.release(case, item, danger=DANGER)
    assert isinstance(answer, Release), codes(answer)
    return answer, item, case


async def age(place: Workplace, release: Release, database: Database) -> None:
    """A day and a moment pass for this release."""
    with database.owner() as connection:
        connection.execute("UPDATE exigent_release SET until = clock_timestamp() WHERE release_id = %s", (release.id,))
    await asyncio.sleep(0.01)


def test_it_stands_for_a_missing_permission_and_the_owner_is_told_at_once(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        release, _, _ = await made(place, "CBP", "DOS")
        assert release.grants == ()
        assert isinstance(await place.releases.package(FBI, release.id), dict)
        [mine] = [one for one in await place.ratifications.page(officer("DOS"), "", 1000) if one.id == release.id]
        # An owner is shown its own part, and that it was is noted.
        assert [(part.owner, part.state) for part in mine.parts] == [("DOS", OwnerState.SILENT)]
        assert (mine.danger, mine.until - mine.at == LIFETIME) == (DANGER, True)
        async with place.work.begin() as tx:
            told = await tx.rows(
                "SELECT recipient FROM notification WHERE subject = 'exigent_release' AND about ->> 'release' = %s",
                (release.id,),
            )
            [decided] = await tx.rows("SELECT question FROM decision WHERE id = %s", (release.decision_id,))
            events = await tx.rows(
                "SELECT tag, detail FROM audit_entry WHERE subjects ->> 'release' = %s AND tag LIKE 'release:exigent:%%'"
                " ORDER BY id",
                (release.id,),
            )
        assert sorted(row.recipient for row in told) == ["CBP", "DOS"]
        assert decided.question["exigent"] is not None
        assert [row.tag for row in events] == ["release:exigent:made", "release:exigent:read"]
        assert events[0].detail == {"owners": ["CBP", "DOS"]}
        report = await Reports(place.work, SystemClock()).run(
            AUDITOR, "exigent", release.at.replace(year=2020), None, None, ()
        )
        rows = [row for row in report.rows if row["release"] == release.id]
        assert [(row["owner"], row["outcome"], row["ground"]) for row in rows] == [
            ("CBP", "silent", DANGER),
            ("DOS", "silent", DANGER),
        ]
        assert rows[0]["seconds_until_told"] is None
        assert rows[1]["seconds_until_told"] is not None
        without = await Reports(place.work, SystemClock()).run(
            AUDITOR, "releases-without-grant", release.at.replace(year=2020), None, None, ()
        )
        assert all(row["release"] != release.id for row in without.rows)

    played(postgres, play)


def test_after_a_day_only_what_every_owner_has_ratified_is_had(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        both, _, _ = await made(place, "CBP", "DOS")
        await place.ratifications.answer(officer("DOS"), both.id, OwnerState.RATIFIED, None)
        silent, _, _ = await made(place)
        await age(place, silent, postgres)
        answer = await place.releases.package(FBI, silent.id)
        assert isinstance(answer, Refused)
        assert "exigent_lapsed" in codes(answer)
        with pytest.raises(Conflict):
            await place.ratifications.answer(officer("DOS"), silent.id, OwnerState.RATIFIED, None)
        await age(place, both, postgres)
        assert "exigent_lapsed" in codes(await place.releases.package(FBI, both.id))  # type: ignore[arg-type]
        whole, _, _ = await made(place, "CBP", "DOS")
        for owner in ("DOS", "CBP"):
            await place.ratifications.answer(officer(owner), whole.id, OwnerState.RATIFIED, "It was right.")
        await age(place, whole, postgres)
        assert isinstance(await place.releases.package(FBI, whole.id), dict)

    played(postgres, play)


def test_a_refusal_ends_it_at_once_and_tells_the_recipient(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        release = await place.release(case, item, danger=DANGER, key="danger-1")
        assert isinstance(release, Release)
        for stranger in (officer("CBP"), officer("FBI"), officer("ICE-HSI")):
            with pytest.raises(NotFound):
                await place.ratifications.answer(stranger, release.id, OwnerState.REFUSED, None)
        await place.ratifications.answer(officer("DOS"), release.id, OwnerState.REFUSED, "There was none.")
        with pytest.raises(Conflict):
            await place.ratifications.answer(officer("DOS"), release.id, OwnerState.RATIFIED, None)
        for who in (FBI, ANALYST):
            answer = await place.releases.package(who, release.id)
            assert isinstance(answer, Refused)
            assert "exigent_refused" in codes(answer)
        # Repeated, it is decided anew.
        again = await place.release(case, item, danger=DANGER, key="danger-1")
        assert "exigent_refused" in codes(again)
        received = [one for one in await RecallService(place.work).inbox(FBI, 1000) if one.release == release.id]
        assert [(one.owner, one.text) for one in received] == [("DOS", "There was none.")]
        # Only the copy is taken back: what else there is of the item is the owner's grants' to say.
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),))
        assert isinstance(await place.release(case, item, to="STATE-EX-POLICE"), Release)

    played(postgres, play)


def test_nothing_but_a_missing_permission_is_replaced(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        caveated = await place.item(case, "DOS")
        await place.grant("DOS", caveated, caveats=("department_only",))
        assert codes(await place.release(case, caveated, danger=DANGER)) == {"caveat_unmet"}
        item = await place.item(case, "DOS")
        wish = place.wish(case, item).model_copy(update={"danger": DANGER})
        for changes in (
            {"action": Action.USE_IN_PROCEEDINGS},
            {"purpose": PurposeId("civil_immigration_enforcement")},
            {"danger": "Danger!"},
        ):
            with pytest.raises(Invalid):
                await place.releases.release(ANALYST, wish.model_copy(update=changes), place.policy, "k", "f")
        with pytest.raises(Invalid):
            await place.held.hold(ANALYST, wish, None, "k", "f")

    played(postgres, play)


def test_a_copy_had_in_danger_goes_no_further(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        release, item, _ = await made(place)
        await place.acceptances.accept(FBI, release.id, release.caveats)
        await place.grant("DOS", item, recipients=(AgencyId("STATE-EX-POLICE"),), onward=True)
        theirs = await place.case(FBI)
        for danger in (None, DANGER):
            with pytest.raises(NotFound):
                await place.release(theirs, item, to="STATE-EX-POLICE", actor=FBI, danger=danger)
        # And danger is no ground to pass on what was received in the ordinary way.
        await place.grant("DOS", item)
        await place.passed_on(await place.case(), item)
        onward = await place.release(theirs, item, to="DOJ", actor=FBI, danger=DANGER)
        assert codes(onward) == {"permission_missing"}

    played(postgres, play)


class _Forbids:
    """Rules that let nothing pass, with or without a permission."""

    def ask(self, _: Any) -> RuleRefuses:
        return RuleRefuses(rule=None)

    def free_default(self, *_: Any) -> None:
        return None


def forbidden() -> set[ReasonCode]:
    asked = Question(
        item=ITEM,
        kind=ItemKind.LEAD,
        asker=AgencyId("ICE-HSI"),
        recipient=AgencyId("FBI"),
        action=Action.RELEASE,
        purpose=PurposeId("criminal_investigation"),
        case_id=CASE,
        fields=None,
        exigent=Exigency(until=None, ratified=(), refused=()),
    )
    lineage = Lineage(markings=(marking("DOS"),), roots=frozenset())
    outcome = decide(asked, facts(lineage, ()), _Forbids(), lambda failure: pytest.fail(str(failure)))
    return set() if outcome else {reason.code for reason in outcome.reasons}


def test_traitor_whose_danger_overrides_what_rules_forbid_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forbidden() == {ReasonCode.POLICY_FORBIDS}
    against = gate._Deliberation._against

    def lenient(self: Any, code: ReasonCode, *what: Any, **how: Any) -> None:
        if not (self.question.exigent and code is ReasonCode.POLICY_FORBIDS):
            against(self, code, *what, **how)

    monkeypatch.setattr(gate._Deliberation, "_against", lenient)
    assert forbidden() == set()
