"""Whether a worker of this host is at work. A worker listens on no port, so its row in the register is asked."""

import asyncio
from typing import Final

from broker.processes.model import ProcessKind
from broker.processes.register import ProcessRegister, this_host
from broker.storage.database import engine_for
from broker.storage.unit_of_work import UnitOfWork

_SECONDS: Final = 8.0


async def found_wanting(database_url: str) -> str:
    """What is wanting, in words; empty if nothing is. Answers within some seconds whatever the database does."""
    engine = engine_for(database_url, pool_size=1)
    try:
        async with asyncio.timeout(_SECONDS):
            processes = await ProcessRegister(UnitOfWork(engine)).all()
    except Exception as trouble:  # noqa: BLE001 - a driver's text may hold the address; its class says enough
        return f"the database does not answer ({type(trouble).__name__})"
    finally:
        await engine.dispose()
    mine = [one for one in processes if one.kind is ProcessKind.WORKER and one.host == this_host()]
    if any(one.fresh for one in mine):
        return ""
    return "no worker of this host has been heard of lately" if mine else "no worker of this host is on record"
