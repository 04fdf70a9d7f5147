"""Rows of releases and disclosures."""

import json
from typing import Any, cast

from sqlalchemy import insert, or_, select
from sqlalchemy.dialects.postgresql import insert as insert_or_leave

from broker.items.fingerprints import of_fields
from broker.items.handing_out import hand_out, keep
from broker.release.exigent.tables import ExigentReleaseRow
from broker.release.model import Acceptance, Disclosure, Package, Release
from broker.release.request_rows import columns_of, request_of
from broker.release.tables import AcceptanceRow, DisclosureRow, ReleaseRow
from broker.storage.columns import table
from broker.storage.sealing import Sealed, Sealer
from broker.storage.unit_of_work import Transaction

_RELEASES = table(ReleaseRow)
_DISCLOSURES = table(DisclosureRow)
_ACCEPTANCES = table(AcceptanceRow)
_EXIGENT = table(ExigentReleaseRow)
_WITH_DISCLOSURE = (
    select(
        *(column for column in _RELEASES.c if column.name not in ("wrapped_key", "ciphertext")),
        _DISCLOSURES.c.id.label("disclosure_id"),
        _DISCLOSURES.c.at.label("disclosed_at"),
        _DISCLOSURES.c.nature,
        _DISCLOSURES.c.owners,
        _DISCLOSURES.c.person,
        _DISCLOSURES.c.address,
        _DISCLOSURES.c.purge_by,
        _ACCEPTANCES.c.accepted_by,
        _ACCEPTANCES.c.agency.label("accepted_for"),
        _ACCEPTANCES.c.accepted_at,
        _EXIGENT.c.danger,
    )
    .join(_DISCLOSURES, _DISCLOSURES.c.release_id == _RELEASES.c.id)
    .outerjoin(_ACCEPTANCES, _ACCEPTANCES.c.release_id == _RELEASES.c.id)
    .outerjoin(_EXIGENT, _EXIGENT.c.release_id == _RELEASES.c.id)
)


class ReleaseRepository:
    """Reads and writes in the caller's transaction; seals and opens the copies."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def add(self, tx: Transaction, release: Release, package: Package) -> None:
        """Write the copy and its disclosure."""
        request, disclosure = release.request, release.disclosure
        sealed = self._sealer.seal(json.dumps(package, ensure_ascii=False, allow_nan=False).encode(), release.id)
        await tx.execute(
            insert(_RELEASES).values(
                id=release.id,
                component=release.component,
                requested_by=release.requested_by,
                at=release.at,
                **columns_of(request),
                decision_id=release.decision_id,
                grants=list(release.grants),
                caveats=list(release.caveats),
                hop=release.hop,
                received_by=list(release.received_by),
                wrapped_key=sealed.wrapped_key,
                ciphertext=sealed.ciphertext,
            )
        )
        await tx.execute(
            insert(_DISCLOSURES).values(
                id=disclosure.id,
                release_id=release.id,
                at=disclosure.at,
                nature=disclosure.nature,
                item_id=request.item,
                owners=list(disclosure.owners),
                purpose=disclosure.purpose,
                recipient=disclosure.recipient.agency,
                person=disclosure.recipient.person,
                address=disclosure.recipient.address,
                disclosed_by=release.requested_by,
                component=release.component,
                purge_by=disclosure.purge_by,
            )
        )

    async def read(self, tx: Transaction, release_id: str) -> Release | None:
        """A release with its disclosure, without its copy."""
        statement = _WITH_DISCLOSURE.where(_RELEASES.c.id == release_id)
        row = (await tx.execute(statement)).one_or_none()
        return None if row is None else _release(row)

    async def page(
        self, tx: Transaction, made_by: str | None, received_by: str | None, after: str, limit: int
    ) -> list[Release]:
        """Releases that one component made, or one agency received, in the order of their ids."""
        sides = (_RELEASES.c.component == made_by, _RELEASES.c.recipient == received_by)
        wanted = [side for side, name in zip(sides, (made_by, received_by), strict=True) if name is not None]
        statement = _WITH_DISCLOSURE.where(_RELEASES.c.id > after, or_(*wanted)).order_by(_RELEASES.c.id).limit(limit)
        return [_release(row) for row in await tx.execute(statement)]

    async def accept(self, tx: Transaction, release: Release, acceptance: Acceptance) -> bool:
        """Note the acceptance of every caveat; False when somebody of the agency has accepted already."""
        statement = (
            insert_or_leave(_ACCEPTANCES)
            .values(
                release_id=release.id,
                accepted_by=acceptance.by,
                agency=acceptance.agency,
                accepted_at=acceptance.at,
                caveats=list(release.caveats),
            )
            .on_conflict_do_nothing()
            .returning(_ACCEPTANCES.c.release_id)
        )
        return (await tx.execute(statement)).one_or_none() is not None

    async def hand_out(self, tx: Transaction, release: Release, package: Package) -> None:
        """Note what the recipient is given, so that it is known again when it comes back."""
        request = release.request
        if request.fields is not None:
            fields = of_fields(self._sealer, package["item"]["content"])
            await keep(tx, request.item, release.component, (fields,))
        await hand_out(tx, request.recipient.agency, request.item, request.fields)

    async def package(self, tx: Transaction, release: Release) -> Package:
        """The copy. The caller has asked the door again."""
        statement = select(_RELEASES.c.wrapped_key, _RELEASES.c.ciphertext).where(_RELEASES.c.id == release.id)
        row = (await tx.execute(statement)).one()
        opened = self._sealer.open(Sealed(bytes(row.wrapped_key), bytes(row.ciphertext)), release.id)
        return cast("Package", json.loads(opened))


def _release(row: Any) -> Release:
    request = request_of(row, row.danger)
    return Release(
        id=row.id,
        component=row.component,
        requested_by=row.requested_by,
        at=row.at,
        request=request,
        decision_id=row.decision_id,
        grants=tuple(row.grants),
        caveats=tuple(row.caveats),
        hop=row.hop,
        received_by=tuple(row.received_by),
        disclosure=Disclosure(
            id=row.disclosure_id,
            at=row.disclosed_at,
            nature=row.nature,
            owners=tuple(row.owners),
            purpose=row.purpose,
            recipient=request.recipient,
            purge_by=row.purge_by,
        ),
        acceptance=None
        if row.accepted_at is None
        else Acceptance(by=row.accepted_by, agency=row.accepted_for, at=row.accepted_at),
    )
