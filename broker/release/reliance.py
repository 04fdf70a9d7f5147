"""Which releases relied on a grant, and who got the copies."""

from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.audit.events import Actor
from broker.grants.model import Grant
from broker.kernel.ids import AgencyId, ItemId, ReleaseId
from broker.kernel.words import Role
from broker.storage.unit_of_work import Transaction, UnitOfWork

_RELIED: Final = """
SELECT r.id AS release, r.item_id AS item, r.at AS released_at, r.recipient, d.person, d.address
FROM release r JOIN disclosure d ON d.release_id = r.id
WHERE r.grants @> ARRAY[%s]::text[] ORDER BY r.at, r.id
"""


class Reliance(BaseModel):
    """One release that relied on a grant, with what its accounting says of the recipient."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    release: ReleaseId
    item: ItemId
    released_at: AwareDatetime
    recipient: AgencyId
    person: str
    address: str


def may_know(actor: Actor, grant: Grant) -> bool:
    """Whether what relied on a grant is the actor's to know: its owner's officers and auditors, and no liaison."""
    officer = Role.RELEASE_OFFICER.value in actor.roles and actor.agency == grant.terms.owner
    return officer or Role.AUDITOR.value in actor.roles


class RelianceService:
    """Answers owners who have to know what was passed on because of a grant."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    async def shown(self, actor: Actor, grant: Grant) -> tuple[Reliance, ...] | None:
        """Every release that relied on the grant, for the owner's officers and auditors; None for anybody else."""
        if not may_know(actor, grant):
            return None
        async with self._work.begin() as tx:
            return await relied_on(tx, grant.id)


async def relied_on(tx: Transaction, grant_id: str) -> tuple[Reliance, ...]:
    """Every release that relied on the grant, in the order in which they were made."""
    return tuple(Reliance(**row._asdict()) for row in await tx.rows(_RELIED, (grant_id,)))
