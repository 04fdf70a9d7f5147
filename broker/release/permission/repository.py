"""Rows of permission requests and their parts."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from broker.kernel.ids import AgencyId, PermissionRequestId
from broker.kernel.words import Action, ItemKind
from broker.release.permission.model import Part, PartState, PermissionRequest, Use
from broker.release.permission.tables import PermissionPartRow, PermissionRequestRow
from broker.storage.columns import table
from broker.storage.sealing import Sealed, Sealer
from broker.storage.unit_of_work import Transaction

_REQUESTS = table(PermissionRequestRow)
_PARTS = table(PermissionPartRow)
_OPEN = tuple(state.value for state in PartState if state.open)


class PermissionRepository:
    """Reads and writes in the caller's transaction. What an owner is shown of the item is sealed and opened here."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def add(self, tx: Transaction, request: PermissionRequest) -> None:
        """Write a request with its parts."""
        await tx.execute(
            insert(_REQUESTS).values(
                **request.model_dump(mode="python", exclude={"item", "parts", "fields"}),
                item_id=request.item,
                fields=list(request.fields) if request.fields is not None else None,
            )
        )
        await tx.execute(insert(_PARTS), [self._part_values(request.id, part) for part in request.parts])

    async def hold(self, tx: Transaction, request_id: str) -> PermissionRequest | None:
        """A request, its row held: its parts change under this lock only."""
        return await self._one(tx, request_id, lock=True)

    async def hold_of_grant(self, tx: Transaction, grant_id: str) -> PermissionRequest | None:
        """The request of which one part has led to that grant, its row held; None if there is none."""
        of_grant = select(_PARTS.c.request_id).where(_PARTS.c.grant_id == grant_id)
        request_id = (await tx.execute(of_grant)).scalar_one_or_none()
        return None if request_id is None else await self.hold(tx, request_id)

    async def read(self, tx: Transaction, request_id: str) -> PermissionRequest | None:
        """A request as it stands."""
        return await self._one(tx, request_id, lock=False)

    async def page(
        self, tx: Transaction, component: AgencyId | None, owner: AgencyId | None, after: str, limit: int
    ) -> tuple[PermissionRequest, ...]:
        """Requests of a component, or those with a part for an owner, or all, in the order of their ids."""
        statement = select(_REQUESTS).where(_REQUESTS.c.id > after).order_by(_REQUESTS.c.id).limit(limit)
        if component is not None:
            statement = statement.where(_REQUESTS.c.component == component)
        if owner is not None:
            mine = select(_PARTS.c.request_id).where(_PARTS.c.owner == owner)
            statement = statement.where(_REQUESTS.c.id.in_(mine))
        return await self._with_parts(tx, (await tx.execute(statement)).all())

    async def change(self, tx: Transaction, request: PermissionRequestId, owner: AgencyId, **values: Any) -> None:
        """Write columns of one owner's part of a request that is held."""
        await tx.execute(update(_PARTS).where(_PARTS.c.request_id == request, _PARTS.c.owner == owner).values(**values))

    async def overdue(self, tx: Transaction, now: datetime, limit: int) -> tuple[PermissionRequest, ...]:
        """Requests past their time with a part that nobody has answered, held; those that somebody holds come later."""
        waiting = select(_PARTS.c.request_id).where(_PARTS.c.state.in_(_OPEN))
        statement = (
            select(_REQUESTS)
            .where(_REQUESTS.c.expires_at <= now, _REQUESTS.c.id.in_(waiting))
            .order_by(_REQUESTS.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return await self._with_parts(tx, (await tx.execute(statement)).all())

    def _part_values(self, request: PermissionRequestId, part: Part) -> dict[str, Any]:
        uses = json.dumps([use.model_dump(mode="json") for use in part.uses]).encode()
        sealed = self._sealer.seal(uses, f"{request}:{part.owner}")
        return {
            "request_id": request,
            "owner": part.owner,
            "state": part.state.value,
            "note": part.note,
            "answered_by": part.answered_by,
            "answered_at": part.answered_at,
            "grant_id": part.grant_id,
            "information": list(part.information),
            "wrapped_key": sealed.wrapped_key,
            "ciphertext": sealed.ciphertext,
        }

    async def _one(self, tx: Transaction, request_id: str, *, lock: bool) -> PermissionRequest | None:
        statement = select(_REQUESTS).where(_REQUESTS.c.id == request_id)
        row = (await tx.execute(statement.with_for_update() if lock else statement)).one_or_none()
        return None if row is None else (await self._with_parts(tx, [row]))[0]

    async def _with_parts(self, tx: Transaction, rows: Sequence[Any]) -> tuple[PermissionRequest, ...]:
        found = await tx.execute(
            select(_PARTS).where(_PARTS.c.request_id.in_([row.id for row in rows])).order_by(_PARTS.c.owner)
        )
        parts: dict[str, list[Part]] = {row.id: [] for row in rows}
        for part in found:
            parts[part.request_id].append(self._part(part))
        return tuple(_request(row, tuple(parts[row.id])) for row in rows)

    def _part(self, row: Any) -> Part:
        sealed = Sealed(bytes(row.wrapped_key), bytes(row.ciphertext))
        uses = json.loads(self._sealer.open(sealed, f"{row.request_id}:{row.owner}"))
        return Part(
            owner=row.owner,
            state=PartState(row.state),
            uses=tuple(Use.model_validate({**use, "sources": tuple(use["sources"])}) for use in uses),
            note=row.note,
            answered_by=row.answered_by,
            answered_at=row.answered_at,
            grant_id=row.grant_id,
            information=tuple(row.information),
        )


def _request(row: Any, parts: tuple[Part, ...]) -> PermissionRequest:
    return PermissionRequest(
        id=row.id,
        item=row.item_id,
        kind=ItemKind(row.kind),
        component=row.component,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        recipient=row.recipient,
        action=Action(row.action),
        purpose=row.purpose,
        case_id=row.case_id,
        fields=tuple(row.fields) if row.fields is not None else None,
        justification=row.justification,
        parts=parts,
    )
