"""What a release owes the owners on whose grants it relies."""

from broker.audit.events import Actor, GrantRelied
from broker.audit.recorder import record
from broker.grants.duties import NotifyOwner
from broker.grants.model import Grant
from broker.jobs import outbox
from broker.jobs.outbox import Happened, Message
from broker.release.model import Release
from broker.storage.unit_of_work import Transaction


async def tell_owner(tx: Transaction, actor: Actor, grant: Grant, release: Release) -> None:
    """Tell the owner that a release relied on its grant, if it wants to know; in the transaction of the release.

    The owner is told of ids only, and asks for the rest.
    """
    owner = grant.terms.owner
    if any(isinstance(duty, NotifyOwner) for duty in grant.terms.duties):
        about = {"grant": grant.id, "release": release.id}
        await outbox.post(tx, Message(to=owner, subject=Happened.GRANT_RELIED_ON, about=about, at=release.at))
        await record(tx, GrantRelied(actor=actor, grant_id=grant.id, release_id=release.id, owner=owner))
