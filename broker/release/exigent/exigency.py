"""What an exigent release takes beside every other, when it is asked for and when it is made."""

from collections.abc import Collection, Sequence

from broker.audit.events import Actor, ReleasedExigently
from broker.audit.recorder import record
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.errors import Invalid
from broker.kernel.ids import AgencyId
from broker.kernel.words import Action
from broker.release.exigent import repository as rows
from broker.release.exigent.model import FEWEST_WORDS, LIFETIME
from broker.release.model import Release, ReleaseRequest
from broker.storage.unit_of_work import Transaction


def check(request: ReleaseRequest, civil_purposes: Collection[str]) -> None:
    """Raises Invalid where danger could not be a ground at all, whoever owns the item."""
    if request.action is not Action.RELEASE:
        raise Invalid("imminent danger lets something be passed on, and not be used in proceedings", "/exigent")
    if request.purpose in civil_purposes:
        raise Invalid("imminent danger is no ground for civil enforcement", "/exigent")
    if len((request.danger or "").split()) < FEWEST_WORDS:
        raise Invalid(f"say what the danger is, to whom and when, in {FEWEST_WORDS} words at least", "/exigent/danger")


async def put_on_record(tx: Transaction, actor: Actor, release: Release, owners: Sequence[AgencyId]) -> None:
    """Note, with the release, on whose permission it did not wait, and tell each of them. No row, no release."""
    danger = release.request.danger
    if danger is None:
        raise TypeError("only what was asked for in danger is released for it")
    await rows.add(tx, release.id, danger, release.at + LIFETIME, owners)
    for owner in owners:
        about = {"release": release.id}
        await post(tx, Message(to=owner, subject=Happened.EXIGENT_RELEASE, about=about, at=release.at))
    event = ReleasedExigently(
        actor=actor, release_id=release.id, item_id=release.request.item, owners=tuple(sorted(owners))
    )
    await record(tx, event)
