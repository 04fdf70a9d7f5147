"""The keys of this machine, held against what the database was sealed and signed with."""

from pathlib import Path
from typing import Final

from broker.audit.checkpoint import Signer
from broker.audit.nodes import newest_checkpoint
from broker.settings import Settings
from broker.storage.sealing import Sealer
from broker.storage.sealing_key import sealer_for
from broker.storage.unit_of_work import UnitOfWork

_ANY_PROBE: Final = "SELECT wrapped_key, search_id FROM probe LIMIT 1"


async def proven_sealer(work: UnitOfWork, settings: Settings) -> Sealer:
    """The sealer with the database's own key. Raises ConfigurationError if this machine has another one, or none."""
    file = settings.sealing_key_file or settings.home / "keys" / "sealing.key"
    async with work.begin() as tx:
        probes = await tx.rows(_ANY_PROBE)
        return await sealer_for(tx, file, (bytes(probes[0].wrapped_key), probes[0].search_id) if probes else None)


async def proven_signer(work: UnitOfWork, keys: Path) -> Signer:
    """The signer that may continue the database's log. Raises ConfigurationError if this machine has another key."""
    async with work.begin() as tx:
        newest = await newest_checkpoint(await tx.driver())
    return Signer.load(keys, None if newest is None else newest.key_id)
