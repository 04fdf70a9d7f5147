"""Rows of releases and disclosures."""

import json
from typing import Any, cast

from sqlalchemy import insert, select

from broker.kernel.words import Action
from broker.release.model import Disclosure, Package, Recipient, Release, ReleaseRequest
from broker.release.tables import DisclosureRow, ReleaseRow
from broker.storage.columns import table
from broker.storage.sealing import Sealed, Sealer
from broker.storage.unit_of_work import Transaction

_RELEASES = table(ReleaseRow)
_DISCLOSURES = table(DisclosureRow)


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
                item_id=request.item,
                recipient=request.recipient.agency,
                action=request.action.value,
                purpose=request.purpose,
                case_id=request.case_id,
                fields=list(request.fields) if request.fields is not None else None,
                decision_id=release.decision_id,
                grants=list(release.grants),
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
            )
        )

    async def read(self, tx: Transaction, release_id: str) -> Release | None:
        """A release with its disclosure, without its copy."""
        statement = (
            select(
                _RELEASES,
                _DISCLOSURES.c.id.label("disclosure_id"),
                _DISCLOSURES.c.at.label("disclosed_at"),
                _DISCLOSURES.c.nature,
                _DISCLOSURES.c.owners,
                _DISCLOSURES.c.person,
                _DISCLOSURES.c.address,
            )
            .join(_DISCLOSURES, _DISCLOSURES.c.release_id == _RELEASES.c.id)
            .where(_RELEASES.c.id == release_id)
        )
        row = (await tx.execute(statement)).one_or_none()
        return None if row is None else _release(row)

    async def package(self, tx: Transaction, release: Release) -> Package:
        """The copy. The caller has asked the door again."""
        statement = select(_RELEASES.c.wrapped_key, _RELEASES.c.ciphertext).where(_RELEASES.c.id == release.id)
        row = (await tx.execute(statement)).one()
        opened = self._sealer.open(Sealed(bytes(row.wrapped_key), bytes(row.ciphertext)), release.id)
        return cast("Package", json.loads(opened))


def _release(row: Any) -> Release:
    recipient = Recipient(agency=row.recipient, person=row.person, address=row.address)
    return Release(
        id=row.id,
        component=row.component,
        requested_by=row.requested_by,
        at=row.at,
        request=ReleaseRequest(
            item=row.item_id,
            recipient=recipient,
            action=Action(row.action),
            purpose=row.purpose,
            case_id=row.case_id,
            fields=tuple(row.fields) if row.fields is not None else None,
        ),
        decision_id=row.decision_id,
        grants=tuple(row.grants),
        disclosure=Disclosure(
            id=row.disclosure_id,
            at=row.disclosed_at,
            nature=row.nature,
            owners=tuple(row.owners),
            purpose=row.purpose,
            recipient=recipient,
        ),
    )
