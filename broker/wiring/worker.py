"""What a worker process does."""

import asyncio

from broker.audit.sequencer import run_sequencer
from broker.jobs.ending import ended
from broker.jobs.queue import every
from broker.policy.activation import CHANNEL
from broker.processes.model import ProcessKind
from broker.recall.overdue import OverdueService
from broker.settings import Settings
from broker.storage.listening import Listener
from broker.wiring.keys import proven_signer
from broker.wiring.parts import parts
from broker.wiring.policies import PolicyFollower

_RELOAD_SECONDS = 1.0
_TAKEOVER_SECONDS = 1.0
_HELD_SECONDS = 1.0
_EXPIRY_SECONDS = 10.0
_REMINDER_SECONDS = 60.0
_PRESENCE_SECONDS = 2.0
_SWEEP_SECONDS = 60.0
"""How often these are looked after."""
_CONCURRENCY = 20


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """A worker: runs jobs, takes over what workers that died left, looks after open legs, sequences the audit.

    Once *stop* is set, jobs under way get a few seconds to finish; what does not is taken over by another worker.
    """
    async with parts(settings, ProcessKind.WORKER) as held, held.jobs.opened():
        signer = await proven_signer(held.work, settings.home / "keys")
        follower, heard = PolicyFollower(held), asyncio.Event()
        await follower.look()
        duties = (
            held.jobs.work(concurrency=_CONCURRENCY),
            every(_TAKEOVER_SECONDS, "stalled jobs", held.jobs.take_over_stalled),
            held.run.serve(),
            every(_RELOAD_SECONDS, "policy in force", follower.look, heard),
            Listener(held.conninfo, CHANNEL, heard).run(),
            every(_PRESENCE_SECONDS, "presence", held.presence.report),
            every(_SWEEP_SECONDS, "processes that fell silent", held.processes.sweep),
            every(_EXPIRY_SECONDS, "permission requests", held.permissions.expire_overdue),
            every(_REMINDER_SECONDS, "overdue notices", OverdueService(held.work).remind),
            held.courier.run(),
            every(_HELD_SECONDS, "held releases", held.held_releases.sweep),
            run_sequencer(held.work, signer),
        )
        tasks = [asyncio.create_task(duty) for duty in duties]
        stopped = asyncio.create_task(stop.wait())
        # A duty that ends by itself has failed: the process then ends too, and whoever runs it starts it again.
        await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
        outcomes = await ended((*tasks, stopped))
        await held.presence.leave()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
