"""What `broker policy activate` does: an explicit act, recorded with the account that ran it."""

import asyncio
import getpass
from pathlib import Path

from broker.audit.events import PolicyActivated, service_actor
from broker.audit.recorder import record
from broker.cli.connect import connected
from broker.policy.activation import HostFolder, activate, note_folder
from broker.policy.bundle import PolicyBundle
from broker.processes.register import this_host
from broker.settings import load_settings
from broker.storage.database import engine_for
from broker.storage.unit_of_work import UnitOfWork


def put_in_force(bundle: PolicyBundle, folder: Path) -> str | None:
    """Put a policy in force that `prepare` has found good and that can be served here; what it replaces."""
    settings = load_settings()
    with connected(settings) as endpoint:
        return asyncio.run(_activated(endpoint.app_url, bundle, str(folder.absolute())))


async def _activated(database_url: str, bundle: PolicyBundle, folder: str) -> str | None:
    actor = service_actor(f"policy-activate:{getpass.getuser()}")
    engine = engine_for(database_url, pool_size=1)
    try:
        async with UnitOfWork(engine).begin() as tx:
            replaces = await activate(tx, bundle, actor.sub)
            # A process that looks after this folder need not take it for a change that nobody has acted upon.
            await note_folder(tx, bundle, HostFolder(this_host(), folder))
            if replaces != bundle.digest:
                await record(tx, PolicyActivated(actor=actor, digest=bundle.digest, replaces=replaces))
        return replaces
    finally:
        await engine.dispose()
