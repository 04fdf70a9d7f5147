"""Rules that were each tried by themselves, where two of them meet."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from broker.audit.events import Actor
from broker.decision import gate, service
from broker.decision.service import DecisionService, Wish
from broker.decision.sight import Sight
from broker.grants import repository as grants
from broker.grants.duties import AttachCaveat, PurgeBy
from broker.kernel.errors import BrokerError, NotFound
from broker.kernel.ids import AgencyId
from broker.kernel.words import ItemKind
from broker.products import derive
from broker.products.derive import Draft, Part
from broker.products.lead import Deed, LeadService
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from broker.release.exigent import repository as exigent_repository
from broker.release.exigent.model import OwnerState, SaidBefore
from broker.release.model import Release
from broker.release.service import Refused
from tests.integration.test_leads import OUTSIDE
from tests.support.postgres import Database
from tests.support.traitors import assert_caught, each_caught
from tests.support.workplace import ANALYST, Workplace, analyst, codes, officer, workplace

DANGER = "A child was taken this morning and the car was seen an hour ago."
FBI, POLICE, ERO = analyst("FBI"), analyst("STATE-EX-POLICE"), analyst("ICE-ERO")
TOLD = "The visa application of this person names a second passport."
Play = Callable[[Workplace], Awaitable[Any]]


def played(database: Database, play: Play, **how: Any) -> Any:
    async def run() -> Any:
        async with workplace(database, **how) as place:
            return await play(place)

    return asyncio.run(run())


async def written(place: Workplace, case: Any, part: Part, actor: Any = ANALYST, **more: Any) -> Any:
    draft = Draft(
        kind=more.pop("kind", ItemKind.NOTE), title=more.pop("title", "n"), case_id=case, parts=(part,), **more
    )
    return await place.derive.derive(actor, draft, place.policy.bundle.purposes)


def test_danger_stands_for_no_permission_that_was_there_and_was_taken_back(postgres: Database) -> None:
    """Exigent and revoked: the copy rested on this owner's grant, so nobody told the owner of a danger."""

    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "CBP", "DOS")
        grant = await place.grant("DOS", item)
        made = await place.release(case, item, danger=DANGER)
        assert isinstance(made, Release), codes(made)
        assert made.grants == (grant.id,)
        await place.endings.revoke(officer("DOS"), grant.id, "no more", place.policy.bundle.agencies)
        answer = await place.releases.package(FBI, made.id)
        assert isinstance(answer, Refused)
        assert "permission_missing" in codes(answer)

    played(postgres, play)


def test_what_an_owner_has_refused_in_danger_is_not_had_by_asking_again(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.listed(case, "DOS", candidates=0)
        made = await place.release(case, item, to="DOJ", danger=DANGER)
        assert isinstance(made, Release), codes(made)
        await place.ratifications.answer(officer("DOS"), made.id, OwnerState.REFUSED, "no")
        again = await place.release(case, item, to="DOJ", danger=DANGER)
        assert "exigent_refused" in codes(again)
        copied = await place.lead(case, item)
        assert "exigent_refused" in codes(await place.release(case, copied, to="DOJ", danger=DANGER))

    played(postgres, play)


def test_an_owner_s_silence_is_not_made_to_last_by_asking_again(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.listed(case, "DOS", candidates=0)
        made = await place.release(case, item, to="DOJ", danger=DANGER)
        assert isinstance(made, Release), codes(made)
        again = await place.release(case, item, to="DOJ", danger=DANGER)
        assert isinstance(again, Release), codes(again)
        with postgres.owner() as owner:
            owner.execute(
                "UPDATE exigent_release SET until = now() - interval '1 second' WHERE release_id = ANY (%s)",
                [[made.id, again.id]],
            )
        assert codes(await place.release(case, item, to="DOJ", danger=DANGER)) >= {"exigent_lapsed"}
        await place.grant("DOS", item, recipients=("DOJ",))
        assert isinstance(await place.release(case, item, to="DOJ", danger=DANGER), Release)

    played(postgres, play)


def test_what_is_written_from_a_holding_has_the_caveat_that_its_grant_attached(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        await place.grant("DOS", item, duties=(AttachCaveat(caveat="originator_controlled"),), onward=True)
        await place.passed_on(case, item)
        note = await written(place, await place.case(FBI), Part(text="w", sources=(place.source(item),)), FBI)
        [marking] = note.lineage.markings
        assert "originator_controlled" in marking.caveats

    played(postgres, play)


def test_what_is_passed_on_from_a_holding_is_to_be_gone_no_later(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        soon = datetime.now(UTC) + timedelta(hours=1)
        await place.grant("DOS", item, duties=(PurgeBy(at=soon),))
        await place.grant("DOS", item, recipients=("STATE-EX-POLICE",), onward=True)
        await place.passed_on(case, item)
        theirs = await place.case(FBI)
        on = await place.release(theirs, item, to="STATE-EX-POLICE", actor=FBI)
        assert isinstance(on, Release), codes(on)
        assert on.disclosure.purge_by == soon
        note = await written(place, theirs, Part(text="w", sources=(place.source(item),)), FBI)
        await place.grant("DOS", note.id, recipients=("STATE-EX-POLICE",), onward=True)
        await place.grant(
            "FBI", note.id, recipients=("STATE-EX-POLICE",), onward=True
        ) if "FBI" in note.lineage.owners else None
        made = await place.release(theirs, note.id, to="STATE-EX-POLICE", actor=FBI)
        assert isinstance(made, Release), codes(made)
        assert made.disclosure.purge_by == soon

    played(postgres, play)


def test_another_owner_s_words_are_known_again_beside_a_source_that_is_named(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        content = {"title": "t", "parts": [{"text": TOLD, "owners": ["DOS"], "sources": [{"item": "x"}]}]}
        secret = await place.item(case, "DOS", content=content)
        free = await place.item(case, "CBP")
        assert await place.door.view(ANALYST, secret) is not None
        note = await written(place, case, Part(text=TOLD, sources=(place.source(free),)))
        assert note.lineage.owners == {"CBP", "DOS"}
        cut = await written(
            place, case, Part(text="-", sources=(place.source(free),)), kind=ItemKind.REDACTION, left_out=(TOLD,)
        )
        assert cut.lineage.owners == {"CBP", "DOS"}

    played(postgres, play)


def test_another_owner_s_words_are_known_again_in_the_record_of_an_act(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        content = {"title": "t", "parts": [{"text": TOLD, "owners": ["DOS"], "sources": [{"item": "x"}]}]}
        secret = await place.item(case, "DOS", content=content)
        lead = await place.item(case, "CBP")
        assert await place.door.view(ANALYST, secret) is not None
        outside = OUTSIDE
        for deed in (
            Deed(action="a", description=TOLD, corroborations=(outside,)),
            Deed(action=TOLD, description="d", corroborations=(outside,)),
            Deed(action="a", description="d", corroborations=(outside, outside.model_copy(update={"where": TOLD}))),
        ):
            made = await place.leads.act(ANALYST, lead, deed, place.policy)
            assert "DOS" in made.owners

    played(postgres, play)


def test_who_passed_on_what_it_held_has_no_copy_left_when_it_holds_nothing(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        first = await place.grant("DOS", item)
        await place.grant("DOS", item, recipients=("STATE-EX-POLICE",), onward=True)
        await place.passed_on(case, item)
        on = await place.release(await place.case(FBI), item, to="STATE-EX-POLICE", actor=FBI)
        assert isinstance(on, Release), codes(on)
        assert isinstance(await place.releases.package(FBI, on.id), dict)
        await place.endings.revoke(officer("DOS"), first.id, "no more", place.policy.bundle.agencies)
        with pytest.raises(NotFound):
            await place.releases.package(FBI, on.id)
        assert isinstance(await place.releases.package(POLICE, on.id), dict)

    played(postgres, play)


def test_a_copy_does_not_live_on_by_a_counted_permission_that_it_has_not_used(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        first = await place.grant("DOS", item)
        made = await place.release(case, item)
        assert isinstance(made, Release), codes(made)
        await place.grant("DOS", item, max_uses=1)
        await place.endings.revoke(officer("DOS"), first.id, "no more", place.policy.bundle.agencies)
        assert isinstance(await place.releases.package(FBI, made.id), Refused)

    played(postgres, play)


def test_a_whole_copy_comes_back_no_further_than_what_is_still_held(postgres: Database) -> None:
    async def play(place: Workplace) -> None:
        case = await place.case()
        content = {
            "title": "t",
            "parts": [
                {"text": TOLD, "owners": ["DOS"], "sources": []},
                {"text": "q", "owners": ["DOS"], "sources": []},
            ],
        }
        item = await place.item(case, "DOS", content=content)
        grant = await place.grant("DOS", item)
        made = await place.passed_on(case, item)
        package = await place.releases.package(FBI, made.id)
        assert isinstance(package, dict)
        await place.grant("DOS", item, fields=("/parts/1",))
        await place.endings.revoke(officer("DOS"), grant.id, "no more", place.policy.bundle.agencies)
        part = await place.release(case, item, fields=("/parts/1",))
        assert isinstance(part, Release), codes(part)
        with pytest.raises(BrokerError):
            await place.imports.take_in(
                FBI, json.loads(json.dumps(package)), await place.case(FBI), place.policy.bundle.purposes
            )

    played(postgres, play)


def test_an_old_copy_lives_on_by_another_grant_only_if_it_carries_that_grant_s_terms(postgres: Database) -> None:
    """Revoked and permitted otherwise: the new permission asks for a caveat and a date that the old copy has not."""

    async def play(place: Workplace) -> None:
        case = await place.case()
        for terms in ({"caveats": ("no_onward",)}, {"duties": (PurgeBy(duty="purge_by", days=1),)}):
            item = await place.item(case, "DOS")
            first = await place.grant("DOS", item)
            made = await place.release(case, item)
            assert isinstance(made, Release), codes(made)
            await place.grant("DOS", item, **terms)
            await place.endings.revoke(officer("DOS"), first.id, "on other terms", place.policy.bundle.agencies)
            answer = await place.releases.package(ANALYST, made.id)
            assert isinstance(answer, Refused)
            assert codes(answer) == {"caveat_unmet"}
            assert isinstance(await place.release(case, item), Release)

    played(postgres, play)


def test_what_has_begun_to_end_is_not_found_again_when_a_notice_is_lifted(postgres: Database) -> None:
    """A revocation that died between its two steps, and a notice that suspended the grant before."""

    async def play(place: Workplace) -> None:
        case = await place.case()
        item = await place.item(case, "DOS")
        grant = await place.grant("DOS", item)
        recall = RecallService(place.work)
        notice = await recall.announce(officer("DOS"), item, NoticeKind.DISPUTED, "It may be wrong.", None)
        async with place.work.begin() as tx:
            await grants.hide(tx, grant.id)
        await recall.lift(officer("DOS"), notice.id)
        assert codes(await place.release(case, item)) >= {"permission_missing"}

    played(postgres, play)


# Each of the rules above taken out, and the test that is then not passed any more.


def danger_speaks_for_owners_who_were_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = gate._Deliberation._exigent

    def generous(self: Any, owner: AgencyId, *rest: Any) -> bool:
        exigency = self.question.exigent
        if exigency is not None:
            told = exigency.model_copy(update={"told": (*exigency.told, owner)})
            self.question = self.question.model_copy(update={"exigent": told})
        return honest(self, owner, *rest)

    monkeypatch.setattr(gate._Deliberation, "_exigent", generous)


def what_was_said_in_danger_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> SaidBefore:
        return SaidBefore(refused=(), lapsed=())

    monkeypatch.setattr(exigent_repository, "said_before", nothing)


def what_is_written_drops_the_grant_s_caveats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "_under", lambda marking, terms: marking)


def the_next_copy_outlives_the_one_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_no_later", lambda outcome, look: outcome)


def a_named_source_stands_for_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "_holds", lambda one: lambda named: True)


def the_words_of_an_act_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    async def as_it_is(self: Any, tx: Any, component: Any, draft: Draft, deed: Deed) -> Draft:
        return draft

    monkeypatch.setattr(LeadService, "_recognised", as_it_is)


def whoever_made_a_copy_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = DecisionService.again

    async def unasked(self: Any, tx: Any, actor: Actor, asker: Any, item: Any, wish: Wish, *rest: Any) -> Any:
        return await honest(self, tx, actor.model_copy(update={"agency": wish.recipient}), asker, item, wish, *rest)

    monkeypatch.setattr(DecisionService, "again", unasked)


def a_copy_lives_by_uses_that_it_did_not_spend(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Sight.judge

    async def uncounted(self: Any, *asked: Any, counted: Any = None, **how: Any) -> Any:
        return await honest(self, *asked, **how)

    monkeypatch.setattr(Sight, "judge", uncounted)


def a_copy_lives_by_any_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_carried", lambda permit, wish: True)


def a_grant_that_begins_to_end_is_only_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def suspended(tx: Any, grant_id: str) -> None:
        await tx.execute(text("UPDATE grant_reach SET active = false WHERE grant_id = :id"), {"id": grant_id})

    monkeypatch.setattr(grants, "hide", suspended)


@each_caught(
    (
        test_danger_stands_for_no_permission_that_was_there_and_was_taken_back,
        danger_speaks_for_owners_who_were_not_told,
    ),
    (test_what_an_owner_has_refused_in_danger_is_not_had_by_asking_again, what_was_said_in_danger_is_forgotten),
    (test_an_owner_s_silence_is_not_made_to_last_by_asking_again, what_was_said_in_danger_is_forgotten),
    (
        test_what_is_written_from_a_holding_has_the_caveat_that_its_grant_attached,
        what_is_written_drops_the_grant_s_caveats,
    ),
    (
        test_what_is_passed_on_from_a_holding_is_to_be_gone_no_later,
        the_next_copy_outlives_the_one_that_is_held,
    ),
    (
        test_another_owner_s_words_are_known_again_beside_a_source_that_is_named,
        a_named_source_stands_for_every_other,
    ),
    (
        test_another_owner_s_words_are_known_again_in_the_record_of_an_act,
        the_words_of_an_act_are_not_compared,
    ),
    (test_who_passed_on_what_it_held_has_no_copy_left_when_it_holds_nothing, whoever_made_a_copy_keeps_it),
    (
        test_a_copy_does_not_live_on_by_a_counted_permission_that_it_has_not_used,
        a_copy_lives_by_uses_that_it_did_not_spend,
    ),
    (
        test_an_old_copy_lives_on_by_another_grant_only_if_it_carries_that_grant_s_terms,
        a_copy_lives_by_any_grant,
    ),
    (
        test_what_has_begun_to_end_is_not_found_again_when_a_notice_is_lifted,
        a_grant_that_begins_to_end_is_only_suspended,
    ),
)
def test_traitor_without_the_rule_is_caught(
    postgres: Database,
    monkeypatch: pytest.MonkeyPatch,
    rule: Callable[[Database], None],
    broken: Callable[[pytest.MonkeyPatch], None],
) -> None:
    broken(monkeypatch)
    assert_caught(rule, postgres)
