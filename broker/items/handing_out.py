"""What of an item was given to which agency, and finding it again when it comes back."""

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from broker.items.fingerprints import Fingerprint
from broker.items.model import Source
from broker.items.tables import FingerprintRow
from broker.kernel.ids import AgencyId, ItemId
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_FINGERPRINTS = table(FingerprintRow)
_HAND_OUT: Final = """
INSERT INTO handed_out (agency, item_id, extent) SELECT %s, %s, unnest(%s::varchar[]) ON CONFLICT DO NOTHING
"""
# Only what this very agency was given, and of that only what its release held. Its own words it may repeat.
_KNOWN: Final = text(
    "SELECT f.item_id, f.places, array_agg(h.extent) AS extents FROM item_fingerprint f"
    " JOIN handed_out h ON h.item_id = f.item_id AND h.agency = :agency"
    " WHERE f.mac = ANY (CAST(:macs AS bytea[])) AND f.own_of IS DISTINCT FROM :agency"
    " GROUP BY f.item_id, f.places ORDER BY f.item_id, f.places"
)

_GIVEN_WHOLE: Final = text(
    "SELECT agency, min(item_id) AS item_id FROM ("
    "SELECT agency, item_id FROM handed_out WHERE item_id = ANY (:items) AND extent = ''"
    " UNION ALL SELECT component, id FROM item WHERE id = ANY (:items)) AS given GROUP BY agency ORDER BY agency"
)


async def keep(tx: Transaction, item: ItemId, component: AgencyId, found: Iterable[Fingerprint]) -> None:
    """Keep the fingerprints of an item, or of what was released of it. They outlive it."""
    rows = [
        {"item_id": item, "mac": one.mac, "places": list(one.places), "own_of": component if one.own else None}
        for one in found
    ]
    if rows:
        await tx.execute(insert(_FINGERPRINTS).on_conflict_do_nothing(), rows)


async def hand_out(tx: Transaction, agency: AgencyId, item: ItemId, fields: Collection[str] | None = None) -> None:
    """Note that an agency was given an item, or these fields of it."""
    await tx.write(_HAND_OUT, (agency, item, [""] if fields is None else sorted(fields)))


async def given_whole(tx: Transaction, items: Collection[ItemId]) -> dict[AgencyId, ItemId]:
    """Which agencies have any of these items, or were given one as a whole, each with one that it was given."""
    rows = await tx.execute(_GIVEN_WHOLE, {"items": list(items)})
    return {AgencyId(row.agency): ItemId(row.item_id) for row in rows}


async def recognise(tx: Transaction, agency: AgencyId, macs: Collection[bytes]) -> tuple[Source, ...]:
    """Where, among what this agency was given, these stand: as sources, as if the author had named them."""
    if not macs:
        return ()
    rows = await tx.execute(_KNOWN, {"agency": agency, "macs": list(macs)})
    return tuple(
        Source(item=ItemId(row.item_id), selector=place or None)
        for row in rows
        if all(_given(place, row.extents) for place in row.places)
        for place in row.places
    )


def _given(place: str, extents: Collection[str]) -> bool:
    return any(extent in ("", place) or place.startswith(f"{extent}/") for extent in extents)
