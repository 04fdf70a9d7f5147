"""What the policies said that were in force before, where something still hangs on it."""

from typing import Final

from broker.audit.events import PolicyActivated
from broker.kernel.partner import PartnerEntry
from broker.policy.activation import fetch, in_force_for_share
from broker.policy.question import PolicyEngineFailure
from broker.policy.source import digest_of, from_files
from broker.storage.unit_of_work import Transaction

_ACTIVATED: Final = "SELECT detail ->> 'digest' FROM audit_entry WHERE tag = %s ORDER BY at DESC, id DESC"


async def last_entry_of(tx: Transaction, partner: str) -> PartnerEntry | None:
    """What the policy in force says of a partner or, where it has left the register, the last one that named it.

    No other policy comes into force before the transaction ends. Raises PolicyEngineFailure where a policy is not on
    record as it was, and PolicyInvalid where it cannot be read any more: then nobody can say.
    """
    present = await in_force_for_share(tx)
    before = [row[0] for row in await tx.rows(_ACTIVATED, (PolicyActivated.tag,))]
    for digest in dict.fromkeys([present, *before]):
        if digest is None:
            continue
        files = await fetch(tx, digest)
        if digest_of(files) != digest:
            raise PolicyEngineFailure("the files kept under a digest are not its files")
        found = next((one for one in from_files(files).partners if one.id == partner), None)
        if found is not None:
            return found
    return None
