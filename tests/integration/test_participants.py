"""Participants: who must know, which terms stand before a search, what the oversight body is told."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from adapters.faces.samples import hit_probe
from broker.audit.events import Actor, service_actor
from broker.kernel.clock import SystemClock
from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from broker.kernel.ids import CaseId, ParticipantId, PartnerId, PurposeId
from broker.kernel.words import EvidentiaryBasis, LegState, Predicate, ProbeKind
from broker.oversight.reports import Reports
from broker.participants.model import Participant
from broker.participants.service import ParticipantService
from broker.partners.contract import NoHit
from broker.policy.search_question import Enrolment, SearchQuestion
from broker.search import rules as search_rules
from broker.search.model import CallerStanding, ProbeTerms, Search, SearchTerms
from broker.search.participation import participant_reasons
from broker.search.probe import draw_anew
from broker.search.repository import SearchRepository
from broker.search.service import SearchService
from broker.storage.sealing import Sealer
from tests.support.desk import desk
from tests.support.postgres import Database
from tests.support.traitors import assert_caught
from tests.support.workplace import OUTER_KEY, Workplace, everyone_at_once, shipped_policies, workplace

NAME = "contractor-checkin"
ANALYST = Actor(sub="erin", agency="ICE-ERO", roles=("analyst",))
HSI = Actor(sub="ana", agency="ICE-HSI", roles=("analyst",))
AUDITOR = Actor(sub="aud", agency="DHS", roles=("auditor",))
KNOWS = frozenset({NAME})


class _NoJobs:
    """Nothing is run here: what is looked at is what was accepted."""

    async def defer(self, *_args: Any, **_options: Any) -> None: ...


@dataclass
class Office:
    """The register and the searches of one broker, on a real database."""

    place: Workplace
    participants: ParticipantService
    searches: SearchService
    case: CaseId

    @property
    def partners(self) -> Any:
        return self.place.policy.bundle.partners

    async def enrolled(self, *, accepted: bool = True) -> Participant:
        reference = f"P-{secrets.token_hex(4)}"
        made = await self.participants.enrol(ANALYST, KNOWS, self.partners, NAME, reference)
        return await self.accepted(made) if accepted else made

    async def accepted(self, participant: Participant, version: str = "2026-1") -> Participant:
        now = datetime.now(UTC)
        return await self.participants.accept(ANALYST, KNOWS, self.partners, participant.id, version, now)

    async def searched(
        self,
        participant: str | None,
        *partners: str,
        actor: Actor = ANALYST,
        case: CaseId | None = None,
        known: frozenset[str] = KNOWS,
    ) -> Search:
        terms = SearchTerms(
            case_id=case or self.case,
            predicate=Predicate.ASSESSMENT,
            purpose=PurposeId("supervision_check_in"),
            legal_basis="an invented order of supervision",
            evidentiary_basis=EvidentiaryBasis.ARTICULABLE_LEAD,
            basis_text="a check-in that is due",
            prior_methods=("asked in person",),
            exigent=False,
            probe=ProbeTerms(
                kind=ProbeKind.PHOTO,
                acquisition="sent in by the participant",
                acquired_at=datetime(2026, 1, 5, tzinfo=UTC),
                lawful_acquisition_attested=True,
                edits=(),
            ),
            partners=tuple(PartnerId(one) for one in partners or (NAME,)),
            participant=None if participant is None else ParticipantId(participant),
            max_candidates=2,
            deadline_seconds=30,
        )
        standing = CallerStanding(training_valid=True, partners=known | {"cbp-atsp"})
        key = secrets.token_hex(8)
        probe = draw_anew(hit_probe(0))
        return await self.searches.submit(actor, standing, terms, probe, self.place.policy, key, key)


def in_office(database: Database, act: Callable[[Office], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with workplace(database) as place:
            clock = SystemClock()
            searches = SearchService(place.work, SearchRepository(Sealer(OUTER_KEY)), _NoJobs(), clock)
            case = await place.cases.open(ANALYST, f"ERO-{secrets.token_hex(4)}", "An invented programme")
            return await act(Office(place, ParticipantService(place.work, clock), searches, case.id))

    return asyncio.run(run())


def reasons(search: Search, partner: str = NAME) -> set[str]:
    (leg,) = (leg for leg in search.legs if leg.partner == partner)
    assert (leg.state is LegState.REFUSED) is (leg.reason is not None)
    return set((leg.reason or "").split(", ")) - {""}


def test_a_participant_who_has_accepted_the_terms_in_force_may_be_asked_about(postgres: Database) -> None:
    async def act(office: Office) -> None:
        participant = await office.enrolled()
        search = await office.searched(participant.id)
        assert reasons(search) == set()
        assert search.terms.participant_reference == participant.reference

    in_office(postgres, act)


def test_without_the_terms_nothing_is_sent_and_the_refusal_is_on_record(postgres: Database) -> None:
    async def act(office: Office) -> None:
        waiting = await office.enrolled(accepted=False)
        search = await office.searched(waiting.id)
        assert reasons(search) == {"terms_not_accepted"}
        assert search.legs[0].calls == 0
        assert reasons(await office.searched(None)) == {"participant_missing", "terms_not_accepted"}
        assert reasons(await office.searched("par_" + "a" * 26)) == {"participant_unknown", "terms_not_accepted"}
        ended = await office.enrolled()
        await office.participants.end(ANALYST, KNOWS, office.partners, ended.id, "released")
        assert reasons(await office.searched(ended.id)) == {"participant_unknown", "terms_not_accepted"}

    in_office(postgres, act)


def test_an_older_version_of_the_terms_is_not_the_one_in_force(postgres: Database) -> None:
    async def act(office: Office) -> None:
        participant = await office.enrolled()
        (entry,) = (one for one in office.partners if one.id == NAME)
        assert participant_reasons(entry, ANALYST.agency, participant.id, participant) == ()
        newer = entry.participation.model_copy(update={"terms_version": "2027-1"})
        renewed = entry.model_copy(update={"participation": newer})
        assert participant_reasons(renewed, ANALYST.agency, participant.id, participant) == ("terms_not_accepted",)
        with pytest.raises(Invalid):
            await office.accepted(await office.enrolled(accepted=False), "2025-1")

    in_office(postgres, act)


def test_traitor_that_does_not_look_at_the_terms_sends_the_leg(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_rules, "participant_reasons", lambda *_: ())

    async def act(office: Office) -> None:
        waiting = await office.enrolled(accepted=False)
        assert (await office.searched(waiting.id)).legs[0].state is LegState.QUEUED

    in_office(postgres, act)


def test_another_component_s_participant_looks_like_none(postgres: Database) -> None:
    async def act(office: Office) -> None:
        participant = await office.enrolled()
        case = await office.place.case()
        theirs = await office.searched(participant.id, actor=HSI, case=case)
        nobody = await office.searched("par_" + "a" * 26, actor=HSI, case=case)
        assert theirs.legs[0].reason == nobody.legs[0].reason
        assert theirs.terms.participant_reference is None

    in_office(postgres, act)


def test_who_is_not_enrolled_hears_the_same_of_every_participant(postgres: Database) -> None:
    async def act(office: Office) -> None:
        ended = await office.enrolled()
        await office.participants.end(ANALYST, KNOWS, office.partners, ended.id, "released")
        accepted, waiting = await office.enrolled(), await office.enrolled(accepted=False)
        for named in (accepted.id, waiting.id, ended.id, "par_" + "a" * 26, None):
            search = await office.searched(named, NAME, "cbp-atsp", known=frozenset())
            assert reasons(search) == {"not_enrolled"}
            assert search.terms.participant_reference is None
            assert ("participant_not_taken" in reasons(search, "cbp-atsp")) is (named is not None)

    in_office(postgres, act)


def test_traitor_that_asks_the_register_for_everybody_is_caught(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = search_rules._about_participant

    def for_everybody(policy: Any, question: SearchQuestion, *about: Any) -> Any:
        return honest(policy, question.model_copy(update={"enrolled": Enrolment.YES}), *about)

    monkeypatch.setattr(search_rules, "_about_participant", for_everybody)
    assert_caught(test_who_is_not_enrolled_hears_the_same_of_every_participant, postgres)


def test_no_hit_that_is_claimed_for_another_owner_is_quarantined(postgres: Database, tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(postgres, tmp_path, {NAME: "http://127.0.0.1:9"}) as made:
            register = {one.id: one for one in shipped_policies().current.bundle.partners}
            ends = {"DOS": LegState.QUARANTINED, "CONTRACTOR-EX": LegState.NO_HIT, None: LegState.NO_HIT}
            for owner, state in ends.items():
                search = await made.accept(NAME)
                leg = await made.leg(search, NAME)
                outcome = NoHit(claimed_owner=owner)
                await made.settling.settle(service_actor("worker"), leg.transaction_id, register[leg.partner], outcome)
                ended = await made.leg(search, NAME)
                assert (ended.state, ended.item_id is None) == (state, state is LegState.QUARANTINED)

    asyncio.run(run())


def test_a_partner_that_searches_galleries_takes_no_participant(postgres: Database) -> None:
    async def act(office: Office) -> None:
        participant = await office.enrolled()
        search = await office.searched(participant.id, NAME, "cbp-atsp")
        assert reasons(search) == set()
        assert "participant_not_taken" in reasons(search, "cbp-atsp")
        assert "purpose_not_agreed" in reasons(search, "cbp-atsp")

    in_office(postgres, act)


def test_only_who_must_know_learns_of_a_participant(postgres: Database) -> None:
    async def act(office: Office) -> None:
        people, partners = office.participants, office.partners
        participant = await office.enrolled()
        for actor, known in ((HSI, KNOWS), (ANALYST, frozenset({"cbp-atsp"}))):
            with pytest.raises(Forbidden):
                await people.enrol(actor, known, partners, NAME, "P-x")
            with pytest.raises(NotFound):
                await people.read(actor, known, partners, participant.id)
            with pytest.raises(NotFound):
                await people.end(actor, known, partners, participant.id, "x")
            with pytest.raises(NotFound):
                await people.accept(actor, known, partners, participant.id, "2026-1", datetime.now(UTC))
            assert await people.page(actor, known, partners, "", 100) == ()
        assert participant.id in {one.id for one in await people.page(ANALYST, KNOWS, partners, "", 1000)}
        with pytest.raises(Invalid):
            await people.enrol(ANALYST, KNOWS | {"dos-ccd"}, partners, "dos-ccd", "V-1")

    in_office(postgres, act)


def test_terms_are_accepted_from_the_enrolment_on_and_not_in_the_future(postgres: Database) -> None:
    async def act(office: Office) -> None:
        first = await office.enrolled()
        await office.participants.end(ANALYST, KNOWS, office.partners, first.id, "released")
        again = await office.participants.enrol(ANALYST, KNOWS, office.partners, NAME, first.reference)
        earlier = (first.acceptances[0].accepted_at, again.enrolled_at - timedelta(microseconds=1))
        for at in (*earlier, datetime(1901, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(hours=1)):
            with pytest.raises(Invalid) as caught:
                await office.participants.accept(ANALYST, KNOWS, office.partners, again.id, "2026-1", at)
            assert caught.value.pointer == "/accepted_at"
        assert reasons(await office.searched(again.id)) == {"terms_not_accepted"}
        at = again.enrolled_at
        await office.participants.accept(ANALYST, KNOWS, office.partners, again.id, "2026-1", at)
        assert reasons(await office.searched(again.id)) == set()

    in_office(postgres, act)


def test_nothing_is_enrolled_accepted_or_ended_twice(postgres: Database) -> None:
    async def act(office: Office) -> None:
        people, partners = office.participants, office.partners
        participant = await office.enrolled()
        with pytest.raises(Conflict):
            await people.enrol(ANALYST, KNOWS, partners, NAME, participant.reference)
        with pytest.raises(Conflict):
            await office.accepted(participant)
        await people.end(ANALYST, KNOWS, partners, participant.id, "released")
        with pytest.raises(Conflict):
            await people.end(ANALYST, KNOWS, partners, participant.id, "released")
        again = await people.enrol(ANALYST, KNOWS, partners, NAME, participant.reference)
        assert (again.id != participant.id, again.acceptances) == (True, ())

    in_office(postgres, act)


def test_of_many_who_enrol_somebody_at_once_one_does_and_the_others_hear_why_not(postgres: Database) -> None:
    async def act(office: Office) -> None:
        reference = f"P-{secrets.token_hex(4)}"
        enrol = office.participants.enrol
        came = await everyone_at_once(*(enrol(ANALYST, KNOWS, office.partners, NAME, reference) for _ in range(8)))
        assert sorted(type(one).__name__ for one in came) == ["Conflict"] * 7 + ["Participant"]

    in_office(postgres, act)


def test_on_any_date_it_is_known_how_many_use_it_of_how_many_and_what_each_accepted(fresh_postgres: Database) -> None:
    async def act(office: Office) -> None:
        reports = Reports(office.place.work, SystemClock())
        since = datetime(2017, 1, 1, tzinfo=UTC)

        async def rows(until: datetime | date) -> list[dict[str, Any]]:
            return (await reports.run(AUDITOR, "participants", since, until, None, office.partners)).rows

        def total(found: list[dict[str, Any]]) -> tuple[int, int, int]:
            (whole,) = (row for row in found if row["participant"] is None)
            return whole["enrolled"], whole["using"], whole["accepted"]

        before = datetime.now(UTC)
        one, two = await office.enrolled(), await office.enrolled(accepted=False)
        search = await office.searched(one.id)
        await office.searched(two.id)
        sent = search.legs[0].transaction_id
        with fresh_postgres.owner() as owner:
            owner.execute("UPDATE search_leg SET calls = 1, state = 'sent' WHERE transaction_id = %s", (sent,))
        middle = datetime.now(UTC)
        await office.participants.end(ANALYST, KNOWS, office.partners, one.id, "released")
        # Before anybody is enrolled the partner is there, and nobody is: none of none is an answer.
        assert [(row["partner"], row["enrolled"], row["using"], row["accepted"]) for row in await rows(before)] == [
            (NAME, 0, 0, 0)
        ]
        assert total(await rows(middle)) == (2, 1, 1)
        versions = {row["participant"]: row["terms_version"] for row in await rows(middle)}
        assert versions == {None: "2026-1", one.id: "2026-1", two.id: None}
        assert total(await rows(datetime.now(UTC))) == (1, 0, 0)
        # A day is taken at its end, so today is everything so far; and the day before, nothing.
        day = datetime.now(UTC).date()
        assert total(await rows(day)) == (1, 0, 0)
        assert total(await rows(before.date() - timedelta(days=1))) == (0, 0, 0)
        await office.participants.end(ANALYST, KNOWS, office.partners, two.id, "released")
        assert [row["enrolled"] for row in await rows(datetime.now(UTC))] == [0]
        # ICE-ERO's own officer reads the same; another component's reads nothing.
        for agency, seen in (("ICE-ERO", 3), ("CONTRACTOR-EX", 3), ("ICE-HSI", 0), ("CBP", 0)):
            found = await reports.run(AUDITOR, "participants", since, middle, agency, office.partners)
            assert len(found.rows) == seen

    in_office(fresh_postgres, act)


@pytest.mark.parametrize("table", ["item", "search_leg", "participant", "participant_acceptance", "hand_over"])
def test_nothing_that_the_service_runs_as_can_delete_before_or_after(postgres: Database, table: str) -> None:
    with postgres.service() as service, pytest.raises(psycopg.errors.InsufficientPrivilege):
        service.execute(f"DELETE FROM {table}")
