"""Submitting and reading searches. What is accepted is committed; what is refused is recorded."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from broker.audit.events import Actor, LegEnded, SearchCancelled, SearchRead, SearchRequested
from broker.audit.recorder import record
from broker.cases.model import CaseStatus
from broker.cases.service import find as find_case
from broker.jobs.queue import JobQueue
from broker.kernel.clock import Clock
from broker.kernel.errors import Conflict, Invalid, NotFound
from broker.kernel.ids import AgencyId, PartnerId, SearchId, Subject, TransactionId, new_id
from broker.kernel.words import LegState
from broker.participants.model import Participant
from broker.participants.repository import find as find_participant
from broker.partners.line import Line
from broker.policy.snapshot import PolicySnapshot
from broker.search.lines import LineRepository
from broker.search.model import CallerStanding, Leg, Search, SearchTerms
from broker.search.probe import DrawnProbe
from broker.search.repository import SearchRepository
from broker.search.rules import codes_of, refusals_at_acceptance
from broker.storage import idempotency
from broker.storage.unit_of_work import Transaction, UnitOfWork

RUN_JOB: Final = "search.run"


class SearchService:
    """The use cases of stage 1, as far as callers see them."""

    def __init__(self, work: UnitOfWork, searches: SearchRepository, jobs: JobQueue, clock: Clock) -> None:
        self._work = work
        self._searches = searches
        self._jobs = jobs
        self._clock = clock

    async def submit(
        self,
        actor: Actor,
        standing: CallerStanding,
        terms: SearchTerms,
        probe: DrawnProbe,
        policy: PolicySnapshot,
        key: str,
        fingerprint: str,
    ) -> Search:
        """Accept a search: the search, its legs, its job and its audit rows are one commit.

        A leg that the rules forbid is accepted as refused: it is on record and never reaches the wire.
        """
        self._check(terms, policy)
        scope = f"searches:{actor.agency}:{actor.sub}"
        async with self._work.begin() as tx:
            made = await idempotency.claim(tx, scope, key, fingerprint)
            if made is not None:
                return await self._replayed(tx, actor, made)
            case = await find_case(tx, AgencyId(actor.agency), terms.case_id, lock=True)
            if case is None:
                raise Invalid("case_id names no case of your component", "/request/case_id")
            if case.status is not CaseStatus.OPEN:
                raise Conflict("the case is closed; open one before searching")
            participant = await find_participant(tx, AgencyId(actor.agency), terms.participant or "", lock=True)
            if participant is not None and participant.partner not in standing.partners:
                participant = None  # Not theirs to know, so it is as if there were none.
            now = await tx.clock()
            search = self._accept(actor, standing, _naming(terms, participant), policy, participant, now)
            await self._searches.add(
                tx,
                search,
                probe,
                civil=terms.purpose in policy.bundle.civil_purposes,
                training_valid=standing.training_valid,
            )
            await idempotency.keep(tx, scope, key, fingerprint, search.id)
            await self._record(tx, actor, search, probe, policy)
            if any(not leg.state.final for leg in search.legs):
                await self._jobs.defer(tx, RUN_JOB, search.id)
        return search

    async def read(self, actor: Actor, search_id: str) -> Search:
        """A search of the actor's component that they may know of, as it stands; reading it is recorded."""
        async with self._work.begin() as tx:
            search = await self._searches.read(tx, search_id, actor)
            if search is None:
                raise NotFound
            await record(tx, SearchRead(actor=actor, search_id=search.id))
            return search

    async def glance(self, actor: Actor, search_id: str) -> Search | None:
        """The same for somebody who is already being answered and waits for news; not recorded again."""
        async with self._work.begin() as tx:
            return await self._searches.read(tx, search_id, actor)

    async def page(self, actor: Actor, after: str, limit: int) -> tuple[Search, ...]:
        """Searches of the actor's component that they may know of."""
        async with self._work.begin() as tx:
            return await self._searches.page(tx, actor, after, limit)

    async def lines(self) -> Mapping[PartnerId, Line]:
        """What is known of each partner's side; nothing of whose searches showed it."""
        async with self._work.begin() as tx:
            return await LineRepository().read(tx)

    async def cancel(self, actor: Actor, search_id: str) -> Search:
        """End every leg that has no answer yet. What a partner still sends is ignored. Once more changes nothing."""
        async with self._work.begin() as tx:
            search = await self._searches.read(tx, search_id, actor)
            if search is None:
                raise NotFound
            if search.cancelled:
                return search
            now = await tx.clock()
            ended = 0
            for leg in sorted(search.legs, key=lambda one: one.transaction_id):
                ended += await self._cancel_leg(tx, actor, leg, now)
            if not ended:
                raise Conflict("every leg of the search has ended, so nothing is left to cancel")
            await record(tx, SearchCancelled(actor=actor, search_id=search.id))
            search = await self._searches.read(tx, search_id, actor)
            if search is None:
                raise NotFound
            return search

    async def _cancel_leg(self, tx: Transaction, actor: Actor, leg: Leg, now: datetime) -> int:
        held = await self._searches.hold_leg(tx, leg.transaction_id)
        if held is None or held[1].state.final:
            return 0
        search_id, _ = held
        reason = "cancelled by the requester"
        await self._searches.change_leg(
            tx, leg.transaction_id, state=LegState.CANCELLED.value, reason=reason, ended_at=now
        )
        await record(
            tx,
            LegEnded(
                actor=actor,
                search_id=search_id,
                partner=leg.partner,
                transaction_id=leg.transaction_id,
                state=LegState.CANCELLED.value,
                reason=reason,
                item_id=None,
            ),
        )
        return 1

    async def _replayed(self, tx: Transaction, actor: Actor, made: str) -> Search:
        # The caller's role and agency were checked anew on the way here; component and enrolment are by this read.
        search = await self._searches.read(tx, made, actor)
        if search is None:
            raise NotFound
        return search

    def _check(self, terms: SearchTerms, policy: PolicySnapshot) -> None:
        bundle = policy.bundle
        if terms.purpose not in bundle.purposes:
            raise Invalid("the purpose is not in the register; see GET /v1/policies/current", "/request/purpose")
        known = {entry.id for entry in bundle.partners}
        if not set(terms.partners) <= known:
            raise Invalid("a partner is not in the register; see GET /v1/partners", "/request/partners")
        if len(set(terms.partners)) != len(terms.partners):
            raise Invalid("a partner is named twice", "/request/partners")
        if terms.probe.acquired_at > self._clock.now():
            raise Invalid("the probe cannot have been acquired in the future", "/request/probe/acquired_at")

    def _accept(
        self,
        actor: Actor,
        standing: CallerStanding,
        terms: SearchTerms,
        policy: PolicySnapshot,
        participant: Participant | None,
        now: datetime,
    ) -> Search:
        deadline = now + timedelta(seconds=terms.deadline_seconds)
        legs = []
        for partner in sorted(terms.partners):
            refusals = refusals_at_acceptance(actor, standing, terms, partner, policy, participant, now)
            legs.append(
                Leg(
                    transaction_id=TransactionId(new_id("txn")),
                    partner=partner,
                    state=LegState.REFUSED if refusals else LegState.QUEUED,
                    reason=codes_of(refusals),
                    refusals=refusals,
                    item_id=None,
                    task_id=None,
                    calls=0,
                    polls=0,
                    deadline_at=deadline,
                )
            )
        return Search(
            id=SearchId(new_id("sea")),
            component=AgencyId(actor.agency),
            requested_by=Subject(actor.sub),
            requested_at=now,
            deadline_at=deadline,
            terms=terms,
            legs=tuple(legs),
        )

    async def _record(
        self, tx: Transaction, actor: Actor, search: Search, probe: DrawnProbe, policy: PolicySnapshot
    ) -> None:
        terms = search.terms
        await record(
            tx,
            SearchRequested(
                actor=actor,
                search_id=search.id,
                case_id=terms.case_id,
                purpose=terms.purpose,
                predicate=terms.predicate.value,
                evidentiary_basis=terms.evidentiary_basis.value,
                civil_enforcement_only=terms.purpose in policy.bundle.civil_purposes,
                exigent=terms.exigent,
                probe_sha256=probe.submitted_sha256,
                partners=terms.partners,
            ),
        )
        for leg in search.legs:
            if leg.state.final:
                await record(
                    tx,
                    LegEnded(
                        actor=actor,
                        search_id=search.id,
                        partner=leg.partner,
                        transaction_id=leg.transaction_id,
                        state=leg.state.value,
                        reason=leg.reason,
                        rules=tuple(str(refusal.rule) for refusal in leg.refusals if refusal.rule),
                        item_id=None,
                    ),
                )


def _naming(terms: SearchTerms, participant: Participant | None) -> SearchTerms:
    return terms.model_copy(update={"participant_reference": None if participant is None else participant.reference})
