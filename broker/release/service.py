"""Releasing: decide, copy, disclose and count, in one commit; or refuse, and commit the refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from broker.audit.events import Actor, GrantUsed, PackageWithheld, ReleaseRead
from broker.audit.recorder import record
from broker.cases.model import CaseStatus
from broker.cases.service import find as find_case
from broker.decision.model import Exigency, Permit
from broker.decision.service import DecisionService, Judgement, Released, Wish
from broker.grants import repository as grants
from broker.items.ownership import owners_of
from broker.items.projection import PointerUnresolved, project
from broker.kernel.errors import Invalid, NotFound
from broker.kernel.ids import AgencyId, CaseId, DisclosureId, ReleaseId, Subject, new_id
from broker.kernel.words import Action
from broker.policy.snapshot import PolicySnapshot
from broker.provenance.caveats import Caveat
from broker.release.acceptance import NotAccepted
from broker.release.duties import tell_owner
from broker.release.exigent import exigency
from broker.release.exigent import repository as exigent_rows
from broker.release.model import Direction, Disclosure, LeftOut, Package, Release, ReleaseRequest
from broker.release.repository import ReleaseRepository
from broker.storage import idempotency
from broker.storage.unit_of_work import Transaction, UnitOfWork


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer no, with everything that stands against it. It is on record."""

    judgement: Judgement
    told: frozenset[AgencyId] | None = None
    """The owners that the reader may hear of; None for somebody who may look at the item, and so hear everything."""


class ReleaseService:
    """The use cases of passing on."""

    def __init__(self, work: UnitOfWork, door: DecisionService, releases: ReleaseRepository) -> None:
        self._work = work
        self._door = door
        self._releases = releases

    async def dry_run(self, actor: Actor, request: ReleaseRequest, policy: PolicySnapshot) -> Judgement:
        """What would be decided now. Nothing but the audit changes."""
        await self.check(actor, request, policy)
        async with self._work.begin() as tx:
            wish = await _wish_in_full(tx, request)
        judgement = await self._door.dry_run(actor, request.item, wish)
        if judgement is None:
            raise NotFound
        return judgement

    async def release(
        self, actor: Actor, request: ReleaseRequest, policy: PolicySnapshot, key: str, fingerprint: str
    ) -> Release | Refused:
        """Pass an item on, or say why not. A replay of an earlier release is decided anew before it is repeated."""
        await self.check(actor, request, policy)
        scope = f"releases:{actor.agency}:{actor.sub}"
        answer: Release | Refused | Invalid | None
        async with self._work.begin() as tx:
            made = await idempotency.claim(tx, scope, key, fingerprint)
            if made is not None:
                answer = await self.repeat_within(tx, actor, made)
            else:
                answer = await self.release_within(tx, actor, request, policy, Subject(actor.sub))
                if isinstance(answer, Release):
                    await idempotency.keep(tx, scope, key, fingerprint, answer.id)
        # Refusals are values until here, so that their record is committed before the caller hears of them.
        if answer is None:
            raise NotFound
        if isinstance(answer, Invalid):
            raise answer
        return answer

    async def read(self, actor: Actor, release_id: str) -> Release:
        """The record of a release, for the component that made it and for its recipient."""
        async with self._work.begin() as tx:
            release = await self._visible(tx, actor, release_id)
            if release is None:
                raise NotFound
            return release.model_copy(update={"left_out": await self._left_out(tx, actor, release)})

    async def page(self, actor: Actor, direction: Direction | None, after: str, limit: int) -> list[Release]:
        """Records of what the actor's agency has made or received, in the order of their ids."""
        made = None if direction is Direction.RECEIVED else actor.agency
        received = None if direction is Direction.MADE else actor.agency
        async with self._work.begin() as tx:
            return await self._releases.page(tx, made, received, after, limit)

    async def package(self, actor: Actor, release_id: str) -> Package | Refused | NotAccepted:
        """The copy, for the same; decided anew, as permission may have gone since it was made.

        The recipient's side has to have accepted its caveats; the side that made it may look at what it made.
        """
        async with self._work.begin() as tx:
            answer = await self._package_within(tx, actor, release_id)
        # What was decided is on record before the caller hears of it.
        if answer is None:
            raise NotFound
        return answer

    async def check(self, actor: Actor, request: ReleaseRequest, policy: PolicySnapshot) -> None:
        """What does not depend on the item, so that its answer tells nothing about the item."""
        if request.recipient.agency not in policy.bundle.agencies:
            raise Invalid("the recipient is not an agency of the register, written exactly", "/recipient/agency")
        if request.purpose not in policy.bundle.purposes:
            raise Invalid("the purpose is not in the register, written exactly", "/purpose")
        if request.action is Action.VIEW:
            raise Invalid(
                "looking at an item is GET /v1/items/{id}; passing on is release or use_in_proceedings", "/action"
            )
        if request.danger is not None:
            exigency.check(request, policy.bundle.civil_purposes)
        async with self._work.begin() as tx:
            case = await find_case(tx, AgencyId(actor.agency), request.case_id)
            if case is None:
                raise Invalid("case_id names no case of your component", "/case_id")
            if case.status is not CaseStatus.OPEN:
                raise Invalid("the case is closed; name one that is open", "/case_id")
            recipient = request.recipient
            beside = {"/recipient/person": recipient.person, "/recipient/address": recipient.address}
            await self._door.check_words(tx, actor, [recipient.agency], beside)
            await self._door.check_words(tx, actor, (), {"/exigent/danger": request.danger})

    async def release_within(
        self, tx: Transaction, actor: Actor, request: ReleaseRequest, policy: PolicySnapshot, requested_by: Subject
    ) -> Release | Refused | Invalid | None:
        """Decide and release in the caller's transaction. The caller has checked the request, and raises what this gives.

        *actor* is whose act it is, *requested_by* the person who asked for it. None where there is no such item.
        """
        release_id = ReleaseId(new_id("rel"))
        asked = await self._door.pass_on(tx, actor, request.item, await _wish_in_full(tx, request), release_id)
        if asked is None:
            return None
        if asked.released is None or not isinstance(asked.judgement.outcome, Permit):
            return Refused(asked.judgement)
        permit, released = asked.judgement.outcome, asked.released
        release = Release(
            id=release_id,
            component=AgencyId(actor.agency),
            requested_by=requested_by,
            at=asked.judgement.at,
            request=request,
            decision_id=asked.judgement.id,
            grants=permit.grants,
            caveats=permit.caveats,
            hop=asked.judgement.question.hops,
            received_by=released.holdings,
            disclosure=Disclosure(
                id=DisclosureId(new_id("dis")),
                at=asked.judgement.at,
                nature=_nature(request, released),
                owners=tuple(sorted(asked.judgement.asked_for.owners)),
                purpose=request.purpose,
                recipient=request.recipient,
                purge_by=permit.purge_by,
            ),
            acceptance=None,
        )
        package = _package(release, released, permit, policy.bundle.caveats)
        if isinstance(package, Invalid):
            # Nothing is made, but that the content was opened and judged by these fields stays on record.
            return package
        await self._releases.add(tx, release, package)
        await self._releases.hand_out(tx, release, package)
        if permit.exigent_owners:
            await exigency.put_on_record(tx, actor, release, permit.exigent_owners)
        for grant in await grants.fetch(tx, permit.grants):
            if grant.terms.max_uses is not None:
                uses = await grants.count_use(tx, grant.id)
                await record(tx, GrantUsed(actor=actor, grant_id=grant.id, release_id=release.id, uses=uses))
            await tell_owner(tx, actor, grant, release)
        return release.model_copy(update={"left_out": await self._left_out(tx, actor, release)})

    async def repeat_within(self, tx: Transaction, actor: Actor, made: str) -> Release | Refused | None:
        """The answer of an earlier release again, decided anew, in the caller's transaction."""
        release = await self._releases.read(tx, made)
        if release is None or release.component != actor.agency:
            return None
        judgement = await self._again(tx, actor, release)
        if judgement is None:
            return None
        if not judgement.outcome:
            return await self._refused(tx, actor, release, judgement)
        return release.model_copy(update={"left_out": await self._left_out(tx, actor, release)})

    async def _package_within(
        self, tx: Transaction, actor: Actor, release_id: str
    ) -> Package | Refused | NotAccepted | None:
        release = await self._visible(tx, actor, release_id)
        if release is None:
            return None
        judgement = await self._again(tx, actor, release)
        if judgement is None:
            return None
        if not judgement.outcome:
            return await self._refused(tx, actor, release, judgement)
        if actor.agency != release.component and not release.open_to_recipient:
            await record(tx, PackageWithheld(actor=actor, release_id=release.id))
            return NotAccepted(release)
        await record(tx, ReleaseRead(actor=actor, release_id=release.id))
        package = await self._releases.package(tx, release)
        return package | {"item": package["item"] | _said(await self._left_out(tx, actor, release))}

    async def _again(self, tx: Transaction, actor: Actor, release: Release) -> Judgement | None:
        exigent = await exigent_rows.read(tx, release.id, held=True)
        wish = replace(
            _wish(release.request),
            copy_until=release.disclosure.purge_by,
            exigent=exigent.exigency if exigent is not None else None,
            carries=frozenset(release.caveats),
        )
        counted = frozenset(release.grants)
        item, hop = release.request.item, release.hop
        return await self._door.again(tx, actor, release.component, item, wish, release.id, counted, hop)

    async def _refused(self, tx: Transaction, actor: Actor, release: Release, judgement: Judgement) -> Refused:
        """Why an earlier release is none any more: all of it for those who may look, else as far as they were told."""
        if await self._knows(tx, actor, release):
            return Refused(judgement)
        return Refused(judgement, told=frozenset(release.disclosure.owners))

    async def _left_out(self, tx: Transaction, actor: Actor, release: Release) -> LeftOut | None:
        """What the actor may know of what the copy does not hold: the asking side all, an owner only of itself."""
        owners = (await owners_of(tx, [release.request.item])).get(release.request.item, frozenset())
        more = owners - set(release.disclosure.owners)
        partial = release.request.fields is not None
        if await self._knows(tx, actor, release):
            return LeftOut(partial=partial, owners=tuple(sorted(more)))
        if actor.agency in owners:
            return LeftOut(partial=partial, owners=tuple(sorted(more & {AgencyId(actor.agency)})))
        return None

    async def _knows(self, tx: Transaction, actor: Actor, release: Release) -> bool:
        return actor.agency == release.component and await self._door.may_look(tx, actor, release.request.item)

    async def _visible(self, tx: Transaction, actor: Actor, release_id: str) -> Release | None:
        release = await self._releases.read(tx, release_id)
        if release is None:
            return None
        sides = (release.component, release.request.recipient.agency)
        return release if actor.agency in sides else None


def _wish(request: ReleaseRequest) -> Wish:
    return Wish(
        recipient=request.recipient.agency,
        action=request.action,
        purpose=request.purpose,
        case_id=CaseId(request.case_id),
        fields=request.fields,
        exigent=None if request.danger is None else Exigency(until=None, ratified=(), refused=()),
    )


async def _wish_in_full(tx: Transaction, request: ReleaseRequest) -> Wish:
    """The same for something that is being made.

    What an owner has refused in danger is not had by asking again, and its silence is not made to last a second day.
    """
    wish = _wish(request)
    if wish.exigent is None:
        return wish
    said = await exigent_rows.said_before(tx, request.item, request.recipient.agency)
    before = {"refused": said.refused, "lapsed": said.lapsed}
    return replace(wish, exigent=wish.exigent.model_copy(update=before))


def _nature(request: ReleaseRequest, released: Released) -> str:
    extent = "whole" if request.fields is None else f"{len(request.fields)} field(s)"
    return f"{request.action.value} of a {released.item.kind.value}, {extent}"


def _package(release: Release, released: Released, permit: Permit, register: Mapping[str, Caveat]) -> Package | Invalid:
    request, item, asked_for = release.request, released.item, released.judgement.asked_for
    try:
        content = released.content if request.fields is None else project(released.content, request.fields)
    except PointerUnresolved as fault:
        return Invalid(f"a field does not fit the item: {fault}", "/fields")
    return {
        "release": release.id,
        "decision_id": release.decision_id,
        "released_at": release.at.isoformat(),
        "recipient": request.recipient.model_dump(),
        "action": request.action.value,
        "purpose": request.purpose,
        "caveats": [{"code": code, "text": register[code].text} for code in permit.caveats if code in register],
        "purge_by": permit.purge_by.isoformat() if permit.purge_by is not None else None,
        "item": {
            "id": item.id,
            "kind": item.kind.value,
            "owners": sorted(asked_for.owners),
            "markings": [
                {
                    "owner": m.owner,
                    "custodian": m.custodian,
                    "source_system": m.source_system,
                    "caveats": list(m.caveats),
                }
                for m in asked_for.markings
            ],
            "content": content,
        },
    }


def _said(left_out: LeftOut | None) -> dict[str, object]:
    """The same members for everybody: a recipient who may not know reads the same of a whole copy and of a part."""
    if left_out is None:
        return {"partial": None, "left_out": None}
    return {"partial": left_out.partial, "left_out": list(left_out.owners)}
