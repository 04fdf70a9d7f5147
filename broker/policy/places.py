"""Since when each agency stands where it stands in the tree of the policy in force.

An author may move an agency. What the rules free within a department was freed for those who stood in it then; so a
decision has to know whether somebody stood there already when the information came to be.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from broker.kernel.ids import AgencyId
from broker.kernel.tree import Tree
from broker.storage.unit_of_work import Transaction

_LEFT: Final = "DELETE FROM agency_place WHERE NOT agency = ANY(%s)"
_STANDS: Final = """
INSERT INTO agency_place (agency, chain, since)
VALUES (%(agency)s, %(chain)s, CASE WHEN %(first)s THEN NULL ELSE clock_timestamp() END)
ON CONFLICT (agency) DO UPDATE SET chain = excluded.chain, since = clock_timestamp()
    WHERE agency_place.chain <> excluded.chain
"""
_SINCE: Final = "SELECT agency, since FROM agency_place WHERE agency = ANY(%s)"


async def note(tx: Transaction, agencies: Tree, *, first: bool) -> None:
    """Note where every agency of the tree stands from now on. The caller holds the policy's row.

    With *first*, for the first policy of all, they have stood there for ever.
    """
    await tx.write(_LEFT, (list(agencies),))
    for agency in agencies:
        await tx.write(_STANDS, {"agency": agency, "chain": list(agencies.chain(agency)), "first": first})


async def since(tx: Transaction, agencies: Iterable[AgencyId]) -> Mapping[AgencyId, datetime | None]:
    """Since when each of these stands where it stands; None for "for ever". Who is not in the register is left out."""
    rows = await tx.rows(_SINCE, (sorted(set(agencies)),))
    return {AgencyId(row.agency): row.since for row in rows}
