"""Rows of held releases, in the caller's transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from broker.decision.model import Deny
from broker.kernel.ids import HeldReleaseId
from broker.kernel.words import ReasonCode
from broker.release.held.model import HeldRelease, HeldState
from broker.release.held.tables import HeldReleaseRow
from broker.release.request_rows import columns_of, request_of
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_HELD = table(HeldReleaseRow)


async def add(tx: Transaction, held: HeldRelease) -> None:
    """Write a held release. It is woken: what came while it was being decided is seen by the first look at it."""
    request = held.request
    await tx.execute(
        insert(_HELD).values(
            id=held.id,
            component=held.component,
            requested_by=held.requested_by,
            requested_at=held.requested_at,
            expires_at=held.expires_at,
            **columns_of(request),
            person=request.recipient.person,
            address=request.recipient.address,
            state=held.state.value,
            woken=True,
            look_at=held.expires_at,
            decision_id=held.decision_id,
            **_lacking(held.refusal),
        )
    )


async def read(tx: Transaction, held_id: str) -> HeldRelease | None:
    """A held release as it stands."""
    row = (await tx.execute(select(_HELD).where(_HELD.c.id == held_id))).one_or_none()
    return None if row is None else _held(row)


async def hold(tx: Transaction, held_id: str, *, wait: bool) -> HeldRelease | None:
    """A held release, its row locked; None also where it is locked by somebody else and *wait* is False."""
    statement = select(_HELD).where(_HELD.c.id == held_id).with_for_update(skip_locked=not wait)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _held(row)


async def page(tx: Transaction, component: str, after: str, limit: int) -> list[HeldRelease]:
    """Held releases of a component, in the order of their ids."""
    statement = select(_HELD).where(_HELD.c.component == component, _HELD.c.id > after)
    return [_held(row) for row in await tx.execute(statement.order_by(_HELD.c.id).limit(limit))]


async def still(tx: Transaction, held: HeldRelease, decision_id: str, refusal: Deny, look_at: datetime) -> None:
    """Note that it was decided anew and is refused still, and when to look again at the latest."""
    values = {"woken": False, "look_at": look_at, "decision_id": decision_id, **_lacking(refusal)}
    await tx.execute(update(_HELD).where(_HELD.c.id == held.id).values(**values))


async def later(tx: Transaction, held_id: str, look_at: datetime) -> None:
    """Note that it could not be decided, and when to try again, so that the others have their turn."""
    waiting = (_HELD.c.id == held_id) & (_HELD.c.state == HeldState.HELD.value)
    await tx.execute(update(_HELD).where(waiting).values(woken=False, look_at=look_at))


async def end(tx: Transaction, held_id: HeldReleaseId, state: HeldState, at: datetime, **values: Any) -> None:
    """End a held release that is locked. *values* say with what: decision, refusal, release, ending."""
    refusal = values.pop("refusal", None)
    if refusal is not None:
        values |= _lacking(refusal)
    ended = {"state": state.value, "ended_at": at, "woken": False, **values}
    await tx.execute(update(_HELD).where(_HELD.c.id == held_id).values(**ended))


async def due(tx: Transaction, now: datetime, limit: int) -> list[str]:
    """Some that were woken, or whose time to be looked at has come, the longest waiting first."""
    held = (_HELD.c.state == HeldState.HELD.value) & (_HELD.c.woken | (_HELD.c.look_at <= now))
    statement = select(_HELD.c.id).where(held).order_by(_HELD.c.requested_at).limit(limit)
    return list((await tx.execute(statement)).scalars())


def _lacking(refusal: Deny) -> dict[str, Any]:
    return {
        "refusal": refusal.model_dump(mode="json"),
        "owners": sorted({one.owner for one in refusal.missing}),
        "unreviewed": any(reason.code is ReasonCode.NOT_REVIEWED for reason in refusal.reasons),
    }


def _held(row: Any) -> HeldRelease:
    return HeldRelease(
        id=row.id,
        component=row.component,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        request=request_of(row),
        state=HeldState(row.state),
        decision_id=row.decision_id,
        refusal=Deny.model_validate(row.refusal, strict=False),
        release_id=row.release_id,
        ended_at=row.ended_at,
        ending=row.ending,
    )
