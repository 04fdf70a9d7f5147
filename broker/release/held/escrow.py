"""Holding a refused release until its last permission arrives, and then deciding it anew (escrow).

The release is made in the transaction of that new decision, under its locks, exactly once: whoever looks at a held
release holds its row. It is recorded as the service's act for the component, with the requester's name kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from broker.audit.events import Actor, HeldReleaseEnded, ReleaseHeld
from broker.audit.recorder import record
from broker.cases.model import CaseStatus
from broker.cases.service import find as find_case
from broker.decision.gate import requests
from broker.decision.model import Deny
from broker.decision.service import Judgement
from broker.grants import repository as grants
from broker.grants.coverage import Trees
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.errors import BrokerError, Conflict, Invalid, NotFound
from broker.kernel.ids import AgencyId, HeldReleaseId, Subject, new_id
from broker.policy.snapshot import PolicySnapshot
from broker.release.held import repository as rows
from broker.release.held.model import HeldRelease, HeldState, curable, transient
from broker.release.held.waking import wake
from broker.release.model import Release, ReleaseRequest
from broker.release.service import Refused, ReleaseService
from broker.storage import idempotency
from broker.storage.unit_of_work import Transaction, UnitOfWork

LIFETIME: Final = timedelta(days=30)
"""How long a release is held at most."""
_EVERY: Final = timedelta(days=1)
_AFTER_A_FAILURE: Final = timedelta(minutes=1)
_AT_ONCE: Final = 50
_PART: Final = "held-release"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a look at a held release ends it."""

    state: HeldState
    why: str | None = None


class HeldReleaseService:
    """The use cases of holding back."""

    def __init__(self, work: UnitOfWork, releases: ReleaseService, policy: Callable[[], PolicySnapshot]) -> None:
        self._work = work
        self._releases = releases
        self._policy = policy

    async def hold(
        self, actor: Actor, request: ReleaseRequest, expires_at: datetime | None, key: str, fingerprint: str
    ) -> HeldRelease | Release | Refused:
        """Release if that is permitted now; hold if a permission or a review is all that is missing; else refuse."""
        policy = self._policy()
        if request.danger is not None:
            raise Invalid("what is exigent is not held; it is released or refused at once", "/exigent")
        await self._releases.check(actor, request, policy)
        scope = f"held-releases:{actor.agency}:{actor.sub}"
        async with self._work.begin() as tx:
            made = await idempotency.claim(tx, scope, key, fingerprint)
            if made is None:
                answer = await self._hold(tx, actor, request, expires_at, policy)
                if isinstance(answer, HeldRelease | Release):
                    await idempotency.keep(tx, scope, key, fingerprint, answer.id)
            else:
                held = await rows.read(tx, made)
                answer = held if held is not None else await self._releases.repeat_within(tx, actor, made)
        if answer is None:
            raise NotFound
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def read(self, actor: Actor, held_id: str) -> HeldRelease:
        """A held release of the actor's component."""
        async with self._work.begin() as tx:
            held = await rows.read(tx, held_id)
        if held is None or held.component != actor.agency:
            raise NotFound
        return held

    async def page(self, actor: Actor, after: str, limit: int) -> list[HeldRelease]:
        """Held releases of the actor's component, in the order of their ids."""
        async with self._work.begin() as tx:
            return await rows.page(tx, actor.agency, after, limit)

    async def withdraw(self, actor: Actor, held_id: str) -> HeldRelease:
        """Take a held release back. One that was made meanwhile is made."""
        async with self._work.begin() as tx:
            held = await rows.hold(tx, held_id, wait=True)
            if held is None or held.component != actor.agency:
                raise NotFound
            if held.state is not HeldState.HELD:
                raise Conflict(f"it is {held.state} already")
            now = await tx.clock()
            await rows.end(tx, held.id, HeldState.WITHDRAWN, now)
            await record(tx, HeldReleaseEnded(actor=actor, held_release_id=held.id, state="withdrawn", release_id=None))
        return held.model_copy(update={"state": HeldState.WITHDRAWN, "ended_at": now})

    async def sweep(self) -> int:
        """Wake what something has come for, and look at what was woken or is past its time; how many were looked at."""
        async with self._work.begin() as tx:
            await wake(tx)
            waiting = await rows.due(tx, await tx.clock(), _AT_ONCE)
        for held_id in waiting:
            try:
                await self.look(held_id)
            except Exception:  # noqa: BLE001 - the others must not wait for one that cannot be decided
                _log.exception("held_release_not_looked_at", held=held_id)
                async with self._work.begin() as tx:
                    await rows.later(tx, held_id, await tx.clock() + _AFTER_A_FAILURE)
        return len(waiting)

    async def look(self, held_id: str) -> None:
        """Decide a held release anew: release it, leave it held, or end it with the reason that changed."""
        async with self._work.begin() as tx:
            # Who has the row decides; another worker has nothing to wait for.
            held = await rows.hold(tx, held_id, wait=False)
            if held is None or held.state is not HeldState.HELD:
                return
            ending = await self._fate(tx, held) or await self._decide(tx, held)
            if ending is None:
                return
            if ending.state is not HeldState.RELEASED:
                await self._end(tx, held, ending.state, ending=ending.why)

    async def _hold(
        self,
        tx: Transaction,
        actor: Actor,
        request: ReleaseRequest,
        expires_at: datetime | None,
        policy: PolicySnapshot,
    ) -> HeldRelease | Release | Refused | BrokerError | None:
        now = await tx.clock()
        expires = min(expires_at or now + LIFETIME, now + LIFETIME)
        if expires <= now:
            return Invalid("expires_at has passed already", "/expires_at")
        answer = await self._releases.release_within(tx, actor, request, policy, Subject(actor.sub))
        if not isinstance(answer, Refused):
            return answer
        outcome = answer.judgement.outcome
        if not isinstance(outcome, Deny) or not curable(outcome):
            return answer
        held = HeldRelease(
            id=HeldReleaseId(new_id("hld")),
            component=AgencyId(actor.agency),
            requested_by=Subject(actor.sub),
            requested_at=now,
            expires_at=expires,
            request=request,
            state=HeldState.HELD,
            decision_id=answer.judgement.id,
            refusal=outcome,
            release_id=None,
            ended_at=None,
            ending=None,
        )
        await rows.add(tx, held)
        await record(tx, ReleaseHeld(actor=actor, held_release_id=held.id, item_id=request.item))
        return held

    async def _fate(self, tx: Transaction, held: HeldRelease) -> _Ending | None:
        """What ends it before anything is decided: its time, its case, or agencies that are no more."""
        if held.expires_at <= await tx.clock():
            return _Ending(HeldState.EXPIRED)
        case = await find_case(tx, held.component, held.request.case_id, lock=True)
        if case is None or case.status is not CaseStatus.OPEN:
            return _Ending(HeldState.REFUSED, "the case is not open any more")
        agencies = self._policy().bundle.agencies
        if held.component not in agencies or held.request.recipient.agency not in agencies:
            return _Ending(HeldState.REFUSED, "the component or the recipient is not in the register any more")
        return None

    async def _decide(self, tx: Transaction, held: HeldRelease) -> _Ending | None:
        actor = _on_behalf_of(held)
        answer = await self._releases.release_within(tx, actor, held.request, self._policy(), held.requested_by)
        if isinstance(answer, Release):
            values = {"release_id": answer.id, "decision_id": answer.decision_id}
            await self._end(tx, held, HeldState.RELEASED, **values)
            return _Ending(HeldState.RELEASED)
        if not isinstance(answer, Refused):
            return _Ending(HeldState.REFUSED, "the item is not there for the component any more, or not these fields")
        judgement = answer.judgement
        if isinstance(judgement.outcome, Deny) and (curable(judgement.outcome) or transient(judgement.outcome)):
            if not transient(judgement.outcome):
                look_at = await self._next_look(tx, held, judgement)
                await rows.still(tx, held, judgement.id, judgement.outcome, look_at)
            return None
        await self._end(tx, held, HeldState.REFUSED, decision_id=judgement.id, refusal=judgement.outcome)
        return None

    async def _next_look(self, tx: Transaction, held: HeldRelease, judgement: Judgement) -> datetime:
        """When a grant that was found begins, or in a day, as rules may begin on a day, too; or when it expires."""
        bundle = self._policy().bundle
        trees = Trees(bundle.agencies, bundle.purposes, bundle.civil_purposes)
        found = await grants.find(tx, requests(judgement.question, judgement.item.lineage), trees)
        begin = [grant.terms.valid_from for grant in await grants.fetch(tx, found)]
        coming = [moment for moment in begin if moment > judgement.at]
        return min(*coming, judgement.at + _EVERY, held.expires_at)

    async def _end(self, tx: Transaction, held: HeldRelease, state: HeldState, **values: object) -> None:
        now = await tx.clock()
        await rows.end(tx, held.id, state, now, **values)
        release = values.get("release_id")
        await record(
            tx,
            HeldReleaseEnded(
                actor=_on_behalf_of(held),
                held_release_id=held.id,
                state=state.value,
                release_id=str(release) if release is not None else None,
            ),
        )
        about = {"held_release": held.id} | ({"release": str(release)} if release is not None else {})
        await post(tx, Message(to=held.component, subject=Happened.RELEASE_HELD_ENDED, about=about, at=now))


def _on_behalf_of(held: HeldRelease) -> Actor:
    """The service, acting for the component that asked; the requester's name stands in the release."""
    return Actor(sub=_PART, agency=held.component, kind="service")
