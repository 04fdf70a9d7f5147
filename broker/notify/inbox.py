"""What the people of an agency may read of its messages."""

from collections.abc import Mapping
from typing import Final

from broker.audit.events import Actor, NotificationRead
from broker.audit.recorder import record
from broker.jobs.model import Happened
from broker.kernel.errors import NotFound
from broker.kernel.words import Role
from broker.notify import repository
from broker.notify.model import Notification, Waiting
from broker.notify.receivers import Receivers
from broker.storage.unit_of_work import UnitOfWork

_ASKING: Final = frozenset({Role.ANALYST})
_OWNING: Final = frozenset({Role.RELEASE_OFFICER})
READERS: Final[Mapping[Happened, frozenset[Role]]] = {
    Happened.PERMISSION_REQUESTED: _OWNING,
    Happened.PERMISSION_ANSWERED: _ASKING,
    Happened.PERMISSION_INFORMED: _OWNING,
    Happened.PERMISSION_WITHDRAWN: _OWNING,
    Happened.PERMISSION_EXPIRED: _ASKING | _OWNING,
    Happened.GRANT_RECORDED: _OWNING | {Role.LIAISON},
    Happened.GRANT_RELIED_ON: _OWNING | {Role.LIAISON},
    Happened.NOTICE_RECORDED: _ASKING | _OWNING,
    Happened.NOTICE_LIFTED: _ASKING | _OWNING,
    Happened.NOTICE_UNACKNOWLEDGED: _ASKING | _OWNING,
    Happened.EXIGENT_RELEASE: _OWNING,
    Happened.EXIGENT_RELEASE_ENDED: _ASKING,
    Happened.RELEASE_HELD_ENDED: _ASKING,
    Happened.VERIFICATION_REQUESTED: _OWNING,
    Happened.VERIFICATION_ANSWERED: _ASKING,
}
"""Who of an agency may read of what: those who may see what the message is about."""


class InboxService:
    """The messages of an agency, for its own people."""

    def __init__(self, work: UnitOfWork, receivers: Receivers) -> None:
        self._work = work
        self._receivers = receivers

    async def page(self, actor: Actor, after: str, limit: int, *, unread: bool) -> list[Notification]:
        """The actor's agency's messages that the actor's roles may know of, oldest first."""
        async with self._work.begin() as tx:
            return await repository.inbox(tx, actor.agency, _readable(actor), after, limit, unread=unread)

    async def read(self, actor: Actor, message_id: str) -> Notification:
        """Note that somebody of the agency has read a message. It is brought to a registered address all the same."""
        async with self._work.begin() as tx:
            message = await repository.hold(tx, message_id, actor.agency, _readable(actor))
            if message is None:
                raise NotFound
            if message.read_at is not None:
                return message
            now = await tx.clock()
            await repository.read(tx, message.id, actor.sub, now)
            await record(tx, NotificationRead(actor=actor, notification_id=message.id))
        return message.model_copy(update={"read_at": now})

    async def waiting(self) -> list[Waiting]:
        """What has not been brought yet, of the agencies that have an address."""
        async with self._work.begin() as tx:
            return await repository.waiting(tx, self._receivers.agencies())


def _readable(actor: Actor) -> list[Happened]:
    return [subject for subject, roles in READERS.items() if any(role.value in actor.roles for role in roles)]
