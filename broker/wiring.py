"""The one place where things are built and given to one another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from joserfc.jwk import KeySet
from sqlalchemy.engine import make_url

from broker.api import dev_issuer
from broker.api.auth import Authenticator, KeySource
from broker.api.jwks import JwksSource
from broker.api.services import Services
from broker.audit.checkpoint import Signer
from broker.audit.events import PolicyActivated, PolicyRefused, service_actor
from broker.audit.recorder import record
from broker.audit.sequencer import run_sequencer
from broker.cases.service import CaseService
from broker.decision.loader import Loader
from broker.decision.service import DecisionService
from broker.grants.service import GrantService
from broker.items.reader import ItemReader
from broker.items.writer import ItemWriter
from broker.jobs.queue import JobQueue, every
from broker.kernel.clock import SystemClock
from broker.kernel.errors import ConfigurationError
from broker.oversight.reports import Reports
from broker.oversight.trail import AuditTrail
from broker.partners.dispatch import Dispatcher
from broker.partners.registry import Registry
from broker.policy.activation import PolicyInForce, activate, in_force
from broker.policy.bundle import PolicyBundle
from broker.policy.holder import Policies
from broker.products.derive import DeriveService
from broker.products.review import ReviewService
from broker.recall.service import RecallService
from broker.release.permission_repository import PermissionRepository
from broker.release.repository import ReleaseRepository
from broker.release.requests import PermissionService
from broker.release.service import ReleaseService
from broker.search.callbacks import Callbacks
from broker.search.repository import SearchRepository
from broker.search.run import SearchRun
from broker.search.service import RUN_JOB, SearchService
from broker.search.settling import Settling
from broker.settings import Settings
from broker.storage.database import SERVICE_ROLE, engine_for
from broker.storage.keys import load_or_create
from broker.storage.sealing import Sealer, make_key
from broker.storage.unit_of_work import UnitOfWork
from broker.transport import Transport

_POLICY_ACTOR = service_actor("policy-reload")
_RELOAD_SECONDS = 1.0
_SWEEP_SECONDS = 1.0
_TAKEOVER_SECONDS = 1.0
_EXPIRY_SECONDS = 10.0
_CONCURRENCY = 20
"""How often the three are looked after."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What API and worker processes share."""

    settings: Settings
    work: UnitOfWork
    clock: SystemClock
    sealer: Sealer
    policies: Policies
    registry: Registry
    searches: SearchRepository
    settling: Settling
    dispatcher: Dispatcher
    run: SearchRun
    jobs: JobQueue
    door: DecisionService
    grants: GrantService
    permissions: PermissionService


@asynccontextmanager
async def parts(settings: Settings) -> AsyncIterator[Parts]:
    """Build what every process of the service needs; closed at the end of the block.

    Raises ConfigurationError when the policies cannot be used: a cold start without them serves nothing.
    """
    app_url = settings.database_url
    if app_url is None:
        raise ConfigurationError("no database was given to this process; it is started by `broker serve` or `worker`")
    clock = SystemClock()
    keys = settings.home / "keys"

    def servable(bundle: PolicyBundle) -> Registry:
        return Registry(bundle.partners, settings.partner_urls, keys)

    policies = await asyncio.to_thread(Policies, settings.policies, clock, servable)
    sealing_key = settings.sealing_key_file or keys / "sealing.key"
    sealer = Sealer(load_or_create(sealing_key, make_key))
    registry = servable(policies.current.bundle)
    engine = engine_for(app_url)
    work = UnitOfWork(engine)
    searches = SearchRepository(sealer)
    settling = Settling(work, searches, ItemWriter(sealer), clock)
    try:
        async with Transport() as transport:
            dispatcher = Dispatcher(registry, transport)
            run = SearchRun(work, searches, settling, dispatcher, registry, clock, settings.base_url)
            jobs = JobQueue(_conninfo(app_url), {RUN_JOB: run.run})
            run.jobs = jobs
            door = DecisionService(work, Loader(ItemReader(sealer), PolicyInForce(policies)))
            grants = GrantService(work)
            permissions = PermissionService(work, door, grants, PermissionRepository(sealer))
            yield Parts(
                settings=settings,
                work=work,
                clock=clock,
                sealer=sealer,
                policies=policies,
                registry=registry,
                searches=searches,
                settling=settling,
                dispatcher=dispatcher,
                run=run,
                jobs=jobs,
                door=door,
                grants=grants,
                permissions=permissions,
            )
    finally:
        await engine.dispose()


class PolicyWatch:
    """Puts what the policy folder says in force, and looks every second whether it says something else.

    A bad policy is recorded and changes nothing. What could not be activated, because the database was away, is
    tried again at the next look.
    """

    def __init__(self, held: Parts) -> None:
        self._held = held
        self._activated: str | None = None

    async def activate(self) -> None:
        """Put this process's newest good policy in force, unless it did so already."""
        snapshot = self._held.policies.current
        if snapshot.digest == self._activated:
            return
        async with self._held.work.begin() as tx:
            replaces = await activate(tx, snapshot.bundle, _POLICY_ACTOR.sub)
            if replaces != snapshot.digest:
                await record(tx, PolicyActivated(actor=_POLICY_ACTOR, digest=snapshot.digest, replaces=replaces))
        self._held.registry.renew(snapshot.bundle.partners)
        self._activated = snapshot.digest

    async def look(self) -> None:
        """Take a changed policy if it is good; record it if it is not."""
        policies = self._held.policies
        before = policies.last_error
        await asyncio.to_thread(policies.reload)
        await self.activate()
        error = policies.last_error
        if error is not None and error is not before:
            async with self._held.work.begin() as tx:
                await record(
                    tx,
                    PolicyRefused(
                        actor=_POLICY_ACTOR, faults=max(1, len(error.faults)), in_force=policies.current.digest
                    ),
                )


class PolicyFollower:
    """Keeps a worker's partners those of the policy in force. A worker makes no decision and activates nothing."""

    def __init__(self, held: Parts) -> None:
        self._held = held
        self._in_force = PolicyInForce(held.policies)
        self._followed: str | None = None

    async def look(self) -> None:
        """Take the partners of the policy in force if it is another one than at the last look."""
        async with self._held.work.begin() as tx:
            if await in_force(tx) in (None, self._followed):
                return
            snapshot = await self._in_force.unlocked(tx)
        if snapshot is not None:
            self._held.registry.renew(snapshot.bundle.partners)
            self._followed = snapshot.digest


@asynccontextmanager
async def api_services(settings: Settings) -> AsyncIterator[Services]:
    """The API's use cases. Puts the policy found at the start in force and watches its folder from then on."""
    async with parts(settings) as held, held.jobs.opened():
        watched = PolicyWatch(held)
        await watched.activate()
        watch = asyncio.create_task(every(_RELOAD_SECONDS, "policy reload", watched.look))
        try:
            yield _services(held)
        finally:
            watch.cancel()


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """A worker: runs jobs, takes over those of workers that died, ends overdue legs, sequences the audit.

    Once *stop* is set, jobs under way get a few seconds to finish; what does not is taken over by another worker.
    """
    async with parts(settings) as held, held.jobs.opened():
        signer = Signer.load(settings.home / "keys")
        duties = (
            held.jobs.work(concurrency=_CONCURRENCY),
            every(_TAKEOVER_SECONDS, "stalled jobs", held.jobs.take_over_stalled),
            every(_SWEEP_SECONDS, "overdue legs", held.run.sweep),
            every(_RELOAD_SECONDS, "policy in force", PolicyFollower(held).look),
            every(_EXPIRY_SECONDS, "permission requests", held.permissions.expire_overdue),
            run_sequencer(held.work, signer),
        )
        tasks = [asyncio.create_task(duty) for duty in duties]
        stopped = asyncio.create_task(stop.wait())
        # A duty that ends by itself has failed: the process then ends too, and whoever runs it starts it again.
        await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopped):
            task.cancel()
        outcomes = await asyncio.gather(*tasks, stopped, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome


def _services(held: Parts) -> Services:
    work, clock = held.work, held.clock
    items = ItemWriter(held.sealer)
    door = held.door
    return Services(
        clock=clock,
        authenticator=_authenticator(held.settings, clock),
        policies=held.policies,
        registry=held.registry,
        cases=CaseService(work, clock),
        searches=SearchService(work, held.searches, held.jobs, clock),
        callbacks=Callbacks(work, held.searches, held.settling, held.dispatcher, held.registry),
        door=door,
        reviews=ReviewService(work, door),
        derive=DeriveService(work, door, items),
        releases=ReleaseService(work, door, ReleaseRepository(held.sealer)),
        permissions=held.permissions,
        grants=held.grants,
        recall=RecallService(work),
        trail=AuditTrail(work),
        reports=Reports(work, clock),
        digest_in_force=lambda: _digest_in_force(held),
        ready=lambda: _ready(held),
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


async def _ready(held: Parts) -> bool:
    try:
        return await _digest_in_force(held) is not None
    except Exception:  # noqa: BLE001 - whatever is wrong with the database, this process cannot serve
        return False


def _conninfo(app_url: str) -> str:
    """The job library's own connections, as the same role as the service's."""
    url = make_url(app_url).set(drivername="postgresql")
    if url.username != SERVICE_ROLE:
        # Without a space: it would be written as a plus sign, which libpq does not read back.
        url = url.update_query_dict({"options": f"-crole={SERVICE_ROLE}"})
    return url.render_as_string(hide_password=False)
