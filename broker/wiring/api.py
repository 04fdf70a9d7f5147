"""The API's use cases, built from the parts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from joserfc.jwk import KeySet

from broker.api import dev_issuer
from broker.api.auth import Authenticator, KeySource
from broker.api.jwks import JwksSource
from broker.api.services import Services
from broker.cases.service import CaseService
from broker.items.writer import ItemWriter
from broker.jobs.ending import ended
from broker.jobs.queue import every
from broker.kernel.clock import SystemClock
from broker.notify.inbox import InboxService
from broker.oversight.reports import Reports
from broker.oversight.traffic import Traffic
from broker.oversight.trail import AuditTrail
from broker.participants.service import ParticipantService
from broker.policy.activation import CHANNEL, PolicyInForce, in_force
from broker.processes.model import ProcessKind
from broker.products.derive import DeriveService
from broker.products.lead import LeadService
from broker.products.reimport import ImportService
from broker.products.review import ReviewService
from broker.products.verification import VerificationService
from broker.recall.overdue import OverdueService
from broker.recall.service import RecallService
from broker.release.acceptance import AcceptanceService
from broker.release.exigent.ratification import RatificationService
from broker.release.impact import ImpactService
from broker.release.reliance import RelianceService
from broker.release.repository import ReleaseRepository
from broker.search.callbacks import Callbacks
from broker.search.service import SearchService
from broker.search.watch import SearchWatch
from broker.settings import Settings
from broker.storage.listening import Listener
from broker.wiring.parts import Parts, parts
from broker.wiring.policies import PolicyWatch

_RELOAD_SECONDS = 1.0
_PRESENCE_SECONDS = 2.0
_READY_SECONDS = 2.0


@asynccontextmanager
async def api_services(settings: Settings) -> AsyncIterator[Services]:
    """The API's use cases. Follows the policy in force, and puts in force what is changed in this host's folder."""
    async with parts(settings, ProcessKind.API) as held, held.jobs.opened():
        watched, heard = PolicyWatch(held), asyncio.Event()
        await watched.look()
        duties = (
            every(_RELOAD_SECONDS, "policy reload", watched.look, heard),
            Listener(held.conninfo, CHANNEL, heard).run(),
            every(_PRESENCE_SECONDS, "presence", held.presence.report),
        )
        tasks = [asyncio.create_task(duty) for duty in duties]
        try:
            yield _services(held)
        finally:
            await ended(tasks)
            await held.presence.leave()


def _services(held: Parts) -> Services:
    work, clock = held.work, held.clock
    items = ItemWriter(held.sealer)
    door = held.door
    recall = RecallService(work, held.registry.entries)
    derive = DeriveService(work, door, items)
    return Services(
        clock=clock,
        authenticator=_authenticator(held.settings, clock),
        policies=held.policies,
        registry=held.registry,
        cases=CaseService(work, clock),
        participants=ParticipantService(work, clock),
        searches=SearchService(work, held.searches, held.jobs, clock),
        watch=SearchWatch(work),
        callbacks=Callbacks(work, held.searches, held.settling, held.dispatcher, held.registry, clock),
        door=door,
        reviews=ReviewService(work, door),
        verifications=VerificationService(work, door),
        derive=derive,
        leads=LeadService(work, door, derive),
        imports=ImportService(work, derive, items),
        releases=held.releases,
        acceptances=AcceptanceService(work, ReleaseRepository(held.sealer)),
        held_releases=held.held_releases,
        ratifications=RatificationService(work, recall),
        impacts=ImpactService(work, held.grants),
        permissions=held.permissions,
        answers=held.answers,
        grants=held.grants,
        endings=held.endings,
        reliance=RelianceService(work),
        recall=recall,
        overdue=OverdueService(work),
        inbox=InboxService(work, held.receivers),
        trail=AuditTrail(work),
        reports=Reports(work, clock),
        processes=held.processes,
        traffic=Traffic(work),
        digest_in_force=lambda: _digest_in_force(held),
        ready=Readiness(held).ready,
    )


def _authenticator(settings: Settings, clock: SystemClock) -> Authenticator:
    if settings.issuer is not None and settings.jwks_url is not None:
        source: KeySource = JwksSource(settings.jwks_url, clock).keys
        return Authenticator(source, settings.issuer, settings.audience, clock)

    async def development_keys() -> KeySet:
        return dev_issuer.public_keys(settings.home)

    return Authenticator(development_keys, dev_issuer.ISSUER, settings.audience, clock)


async def _digest_in_force(held: Parts) -> str | None:
    async with held.work.begin() as tx:
        return await in_force(tx)


class Readiness:
    """Whether this process can serve, told within two seconds whatever the database does."""

    def __init__(self, held: Parts) -> None:
        self._work = held.work
        self._policy = PolicyInForce(held.policies)
        self._looking: asyncio.Task[bool] | None = None

    async def ready(self) -> bool:
        """Whether the database answers and the policy in force is, or can be, loaded here."""
        # One look at a time, for all who ask: while the database is silent it waits, and nobody waits with it for long.
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = asyncio.create_task(self._look())
        # Who comes just as it ends begins another one, so this one is kept by its own name.
        done, _ = await asyncio.wait({looking}, timeout=_READY_SECONDS)
        return bool(done) and looking.result()

    async def _look(self) -> bool:
        try:
            async with self._work.begin() as tx:
                return await self._policy.unlocked(tx) is not None
        except Exception:  # noqa: BLE001 - whatever is wrong with the database, this process cannot serve
            return False
