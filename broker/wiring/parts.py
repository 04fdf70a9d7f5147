"""What API and worker processes share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from broker.decision.loader import Loader
from broker.decision.service import DecisionService
from broker.grants.ending import GrantEndings
from broker.grants.service import GrantService
from broker.items.reader import ItemReader
from broker.items.writer import ItemWriter
from broker.jobs.queue import JobQueue
from broker.kernel.clock import SystemClock
from broker.kernel.errors import BrokerError, ConfigurationError
from broker.notify.courier import Courier
from broker.notify.receivers import Receivers
from broker.partners.calls import CallCounts
from broker.partners.dispatch import Dispatcher
from broker.partners.registry import Registry
from broker.policy.activation import PolicyInForce, fetch, in_force
from broker.policy.holder import Policies
from broker.processes.model import ProcessKind
from broker.processes.register import Presence, ProcessRegister
from broker.release.held.escrow import HeldReleaseService
from broker.release.holdings import ReleaseHoldings
from broker.release.permission.answers import AnswerService
from broker.release.permission.repository import PermissionRepository
from broker.release.permission.requests import PermissionService
from broker.release.repository import ReleaseRepository
from broker.release.service import ReleaseService
from broker.search.asking import LegAsking
from broker.search.recheck import Recheck
from broker.search.repository import SearchRepository
from broker.search.run import SearchRun
from broker.search.service import RUN_JOB
from broker.search.settling import Settling
from broker.settings import Settings
from broker.storage.database import conninfo_for, engine_for
from broker.storage.sealing import Sealer
from broker.storage.unit_of_work import UnitOfWork
from broker.transport import Transport
from broker.wiring.keys import proven_sealer
from broker.wiring.servable import refuse_unservable


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
    endings: GrantEndings
    permissions: PermissionService
    answers: AnswerService
    receivers: Receivers
    courier: Courier
    releases: ReleaseService
    held_releases: HeldReleaseService
    presence: Presence
    processes: ProcessRegister
    conninfo: str
    """For connections of one's own, such as the one that listens."""


@asynccontextmanager
async def parts(settings: Settings, kind: ProcessKind) -> AsyncIterator[Parts]:
    """Build what every process of the service needs; closed at the end of the block.

    Raises ConfigurationError when the policies or this machine's keys cannot be used: it then serves nothing.
    """
    app_url = settings.database_url
    if app_url is None:
        raise ConfigurationError("no database was given to this process; it is started by `broker serve` or `worker`")
    clock = SystemClock()
    keys = settings.home / "keys"
    engine = engine_for(app_url)
    work = UnitOfWork(engine)
    try:
        policies = await _policies(work, partial(Policies, settings.policies, clock, refuse_unservable))
        registry = Registry(policies.current.bundle.partners, settings.partner_urls, keys)
        sealer = await proven_sealer(work, settings)
        searches = SearchRepository(sealer)
        settling = Settling(work, searches, ItemWriter(sealer))
        async with Transport() as transport:
            counts = CallCounts()
            dispatcher = Dispatcher(registry, transport, counts)
            policy = PolicyInForce(policies)
            recheck = Recheck(policy)
            asking = LegAsking(work, searches, settling, dispatcher, registry, recheck, settings.base_url)
            run = SearchRun(work, searches, settling, asking)
            conninfo = conninfo_for(app_url)
            jobs = JobQueue(conninfo, {RUN_JOB: run.run})
            door = DecisionService(work, Loader(ItemReader(sealer), policy), ReleaseHoldings())
            grants = GrantService(work)
            asked = PermissionRepository(sealer)
            receivers = Receivers(policies.current.bundle.notified_at, keys)
            releases = ReleaseService(work, door, ReleaseRepository(sealer))
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
                endings=GrantEndings(grants),
                permissions=PermissionService(work, door, asked),
                releases=releases,
                held_releases=HeldReleaseService(work, releases, lambda: policies.current),
                answers=AnswerService(grants, asked),
                receivers=receivers,
                courier=Courier(work, transport, receivers),
                presence=Presence(work, kind, lambda: _digests(policies, kind), counts.told),
                processes=ProcessRegister(work),
                conninfo=conninfo,
            )
    finally:
        await engine.dispose()


async def _policies(work: UnitOfWork, build: Callable[..., Policies]) -> Policies:
    """The folder's policies. Where they are not good the one in force decides, as in a process that was running."""
    try:
        return await asyncio.to_thread(build)
    except BrokerError:
        async with work.begin() as tx:
            digest = await in_force(tx)
            files = None if digest is None else await fetch(tx, digest)
        if files is None:
            raise
        return await asyncio.to_thread(build, in_force=files)


def _digests(policies: Policies, kind: ProcessKind) -> tuple[str, str | None]:
    # A worker looks after no folder; what its own says is of no consequence once it follows.
    looks_after = kind is ProcessKind.API and not policies.borrowed
    return policies.current.digest, policies.authored.digest if looks_after else None
