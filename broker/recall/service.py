"""Correction and recall (R16): the owner speaks, passing on stops, and every recipient is told and acknowledges."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Final

from broker.audit.events import Actor, NoticeAcknowledged, NoticeLifted, NoticeRecorded
from broker.audit.recorder import record
from broker.audit.refusals import on_record
from broker.grants import suspension
from broker.items.descent import hold_made_of
from broker.items.handing_out import given_whole
from broker.items.ownership import custodian_of, systems_of
from broker.jobs.outbox import Happened, Message, post
from broker.kernel.errors import Conflict, Invalid, NotFound
from broker.kernel.ids import AgencyId, ItemId, NoticeId, PartnerId, Subject, new_id
from broker.kernel.partner import Duty, PartnerEntry
from broker.kernel.words import Role
from broker.recall import repository
from broker.recall.model import Delivery, Notice, NoticeKind
from broker.release.exigent.model import ExigentRelease
from broker.storage.unit_of_work import Transaction, UnitOfWork

TIME_TO_ACKNOWLEDGE: Final = timedelta(days=10)
"""Unless the owner says another day."""


class RecallService:
    """The use cases of taking back."""

    def __init__(self, work: UnitOfWork, partners: Callable[[], Iterable[PartnerEntry]] = tuple) -> None:
        """*partners* gives the register, for its exemptions; without it nothing is exempt."""
        self._work = work
        self._partners = partners

    async def announce(
        self, actor: Actor, item_id: str, kind: NoticeKind, words: str, acknowledge_by: datetime | None
    ) -> Notice:
        """Say that an item of which the actor's agency owns a part is disputed, corrected or withdrawn.

        When this has returned, nothing of it and nothing made of it is passed on any more, the owner's open grants
        on any of that are suspended, and there is a notice for every recipient on record.
        """
        owner = AgencyId(actor.agency)
        async with on_record(self._work, actor, "notice:announce") as tx:
            if await custodian_of(tx, item_id, owner) is None:
                raise NotFound
            affected = await hold_made_of(tx, item_id)
            now = await tx.clock()
            deadline = acknowledge_by or now + TIME_TO_ACKNOWLEDGE
            if deadline <= now:
                raise Invalid("acknowledge_by has passed already", "/acknowledge_by")
            notice = Notice(
                id=NoticeId(new_id("not")),
                item=ItemId(item_id),
                owner=owner,
                kind=kind,
                text=words,
                recorded_by=Subject(actor.sub),
                recorded_at=now,
                acknowledge_by=deadline,
                exempt_ground=self._exempt(await systems_of(tx, item_id, owner), now.date()),
                lifted_at=None,
                affected=len(affected),
                recipients=0,
                acknowledged=0,
            )
            recipients = await repository.add(tx, notice, affected)
            await _tell(tx, notice.id, Happened.NOTICE_RECORDED, now)
            await _tell_who_looked(tx, notice, affected, Happened.NOTICE_RECORDED, now)
            suspended = await suspension.suspend(tx, actor, owner, affected)
            await record(
                tx,
                NoticeRecorded(
                    actor=actor,
                    notice_id=notice.id,
                    item_id=notice.item,
                    owner=owner,
                    kind=kind.value,
                    affected=len(affected),
                    recipients=recipients,
                    suspended=suspended,
                    exempt_ground=notice.exempt_ground,
                ),
            )
        return notice.model_copy(update={"recipients": recipients})

    async def recall_copy(self, tx: Transaction, actor: Actor, release: ExigentRelease, text: str) -> None:
        """Take back the one copy of an exigent release that the actor's agency has refused: its recipient is told.

        Nothing else of the item is stopped by it; that copy is refused by the gate from now on.
        """
        now = await tx.clock()
        notice = Notice(
            id=NoticeId(new_id("not")),
            item=release.item,
            owner=AgencyId(actor.agency),
            kind=NoticeKind.WITHDRAWN,
            text=text,
            recorded_by=Subject(actor.sub),
            recorded_at=now,
            acknowledge_by=now + TIME_TO_ACKNOWLEDGE,
            exempt_ground=None,
            lifted_at=None,
            affected=0,
            recipients=0,
            acknowledged=0,
        )
        recipients = await repository.add_for_copy(tx, notice, release.id)
        await record(
            tx,
            NoticeRecorded(
                actor=actor,
                notice_id=notice.id,
                item_id=notice.item,
                owner=notice.owner,
                kind=notice.kind.value,
                affected=0,
                recipients=recipients,
                suspended=0,
                exempt_ground=None,
            ),
        )
        await _tell(tx, notice.id, Happened.NOTICE_RECORDED, now)

    async def lift(self, actor: Actor, notice_id: str) -> Notice:
        """Take a notice back: grants that it suspended hold again, unless another notice still stands."""
        async with on_record(self._work, actor, "notice:lift") as tx:
            notice = await repository.hold(tx, notice_id)
            if notice is None or notice.owner != actor.agency:
                raise NotFound
            if notice.lifted_at is not None:
                raise Conflict("the notice was lifted already")
            # The same locks in the same order as when it was announced, so that no decision sees half of it.
            await hold_made_of(tx, notice.item)
            now = await tx.clock()
            reached = await repository.lift(tx, notice.id, actor.sub, now)
            for grant in await suspension.suspended(tx, notice.owner, reached):
                if not await repository.standing(tx, notice.owner, grant.terms.scope.items):
                    await suspension.resume(tx, actor, grant)
            await _tell(tx, notice.id, Happened.NOTICE_LIFTED, now)
            await _tell_who_looked(tx, notice, reached, Happened.NOTICE_LIFTED, now)
            await record(tx, NoticeLifted(actor=actor, notice_id=notice.id, owner=notice.owner))
        return notice.model_copy(update={"lifted_at": now})

    async def page(self, actor: Actor, after: str, limit: int) -> list[Notice]:
        """Notices of the actor's agency as owner; for an auditor all."""
        owner = None if Role.AUDITOR.value in actor.roles else actor.agency
        async with self._work.begin() as tx:
            return await repository.page(tx, owner, after, limit)

    async def inbox(self, actor: Actor, limit: int) -> list[Delivery]:
        """What the actor's agency has to be told about what it received; first what it has not acknowledged."""
        async with self._work.begin() as tx:
            return await repository.deliveries(tx, actor.agency, limit)

    async def acknowledge(self, actor: Actor, notice_id: str) -> int:
        """Note that the actor's agency has read a notice; how many copies it holds that were still open."""
        async with on_record(self._work, actor, "notice:acknowledge") as tx:
            if not await repository.reaches(tx, notice_id, actor.agency):
                raise NotFound
            copies = await repository.acknowledge(tx, notice_id, actor.agency, actor.sub, await tx.clock())
            if copies:
                await record(tx, NoticeAcknowledged(actor=actor, notice_id=NoticeId(notice_id), copies=copies))
            return copies

    def _exempt(self, systems: frozenset[PartnerId | None], day: date) -> str | None:
        """The grounds, where every system that the owner's parts came from is exempt; a part from none is not."""
        entries = {entry.id: entry for entry in self._partners()}
        grounds = set()
        for system in systems:
            entry = entries.get(system) if system is not None else None
            ground = entry.exempt_from(Duty.CORRECTION_NOTICE, day) if entry is not None else None
            if ground is None:
                return None
            grounds.add(ground)
        return "; ".join(sorted(grounds)) or None


async def _tell(tx: Transaction, notice: NoticeId, subject: Happened, at: datetime) -> None:
    for agency in await repository.recipients_of(tx, notice):
        await post(tx, Message(to=agency, subject=subject, about={"notice": notice}, at=at))


async def _tell_who_looked(
    tx: Transaction, notice: Notice, items: tuple[ItemId, ...], subject: Happened, at: datetime
) -> None:
    """Who has it, and who has only looked at it, holds no copy to acknowledge, and hears of it all the same."""
    told = {notice.owner, *await repository.recipients_of(tx, notice.id)}
    for agency, item in (await given_whole(tx, items)).items():
        if agency not in told:
            await post(tx, Message(to=agency, subject=subject, about={"item": item}, at=at))
