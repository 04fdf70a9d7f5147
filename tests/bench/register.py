"""A register of any size: rows as ``repository.file`` writes them, by the hundred thousand.

A few grants are filed by the repository itself, and the database is asked for their rows. The bulk is those very lines
with fresh ids in them, so its shape is the repository's by construction. `same_shape` compares it with a grant that
was recorded over HTTP.
"""

import base64
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from broker.grants import repository
from broker.grants.model import Evidence, Grant, GrantStatus, Reach, Scope, Terms
from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PartnerId, PurposeId, Subject
from broker.kernel.words import Action
from broker.storage.unit_of_work import Transaction, UnitOfWork

OWNERS = (AgencyId("CBP"), AgencyId("DOS"))
RECIPIENT = AgencyId("FBI")
PURPOSE = PurposeId("criminal_investigation")
_GRANT = "gra_" + "a" * 26
_ITEM = "itm_" + "a" * 26
_CASE = "cas_" + "a" * 26
_BATCH = 50_000
CROWD = 100


class _NotKept(Exception):
    """Ends the transaction in which the patterns were filed."""


@dataclass(frozen=True)
class Pattern:
    """The rows of one grant as the database writes them, with places for the ids."""

    grant: str
    reach: str
    weight: int

    def rows(self, grant: str, about: str) -> tuple[str, str]:
        """The same for another grant about another item (or case)."""
        places = ((_GRANT, "gra_" + grant), (_ITEM, "itm_" + about), (_CASE, "cas_" + about))
        made, reach = self.grant, self.reach
        for place, new in places:
            made, reach = made.replace(place, new), reach.replace(place, new)
        return made, reach


def terms(owner: AgencyId, now: datetime, **changes: Any) -> Terms:
    """A grant of *owner* for one item's release to one recipient for one purpose, for a month."""
    return Terms.model_validate(
        {
            "owner": owner,
            "recipients": (RECIPIENT,),
            "include_components": False,
            "action": Action.RELEASE,
            "purposes": (PURPOSE,),
            "include_subpurposes": False,
            "scope": Scope(items=(ItemId(_ITEM),)),
            "fields": None,
            "valid_from": now - timedelta(days=1),
            "valid_until": now + timedelta(days=30),
            "max_uses": None,
            "onward": False,
            "caveats": (),
            "evidence": Evidence(reference=f"{owner} letter (invented)", sha256="5" * 64),
            **changes,
        }
    )


def grant_of(given: Terms, now: datetime, **changes: Any) -> Grant:
    """A grant as the service files it."""
    return Grant.model_validate(
        {
            "id": GrantId(_GRANT),
            "terms": given,
            "reach": Reach(recipients=frozenset(given.recipients), purposes=frozenset(given.purposes)),
            "status": GrantStatus.ACTIVE,
            "uses": 0,
            "recorded_by": Subject(f"officer.{given.owner.lower()}"),
            "recorded_agency": given.owner,
            "recorded_at": now,
            "confirmed_by": None,
            "revoked_at": None,
            "revocation_reason": None,
            **changes,
        }
    )


async def patterns(work: UnitOfWork) -> tuple[dict[AgencyId, Pattern], list[Pattern]]:
    """The pattern of an asked-for grant for each owner, and the mixture that the rest of the register is made of."""
    now = datetime.now(UTC)
    asked = {owner: await _filed(work, grant_of(terms(owner, now), now), 1) for owner in OWNERS}
    mixture = []
    for owner in (*OWNERS, AgencyId("STATE-EX-DMV"), AgencyId("VENDOR-EX")):
        for changes, weight in _variety(now):
            mixture.append(await _filed(work, grant_of(terms(owner, now, **changes), now), weight))
        revoked = await _filed(work, grant_of(terms(owner, now), now), 10, revoked_at=now)
        mixture.append(revoked)
    return asked, mixture


def _variety(now: datetime) -> Iterator[tuple[dict[str, Any], int]]:
    # Of a hundred grants of one owner: what a register of some years may look like. Weights are parts, not percent.
    more = (RECIPIENT, AgencyId("STATE-EX-POLICE"), AgencyId("ICE-ERO"))
    yield {}, 40
    yield {"max_uses": 3}, 8
    yield {"recipients": more, "purposes": (PURPOSE, PurposeId("victim_identification"))}, 8
    yield {"action": Action.USE_IN_PROCEEDINGS}, 5
    yield {"scope": Scope(case_id=CaseId(_CASE))}, 15
    yield {"valid_from": now - timedelta(days=90), "valid_until": now - timedelta(days=1)}, 13
    # Standing grants are few, and another recipient's: a question passes them by in the same part of the index.
    yield {"scope": Scope(partner=PartnerId("cbp-atsp")), "recipients": (AgencyId("STATE-EX-POLICE"),)}, 1


async def _filed(work: UnitOfWork, grant: Grant, weight: int, revoked_at: datetime | None = None) -> Pattern:
    made = reach = ""
    with suppress(_NotKept):
        async with work.begin() as tx:
            await repository.file(tx, grant)
            if revoked_at is not None:
                await repository.revoke(tx, grant.id, grant.recorded_by, revoked_at, "no longer needed (invented)")
            made = await _lines(tx, "SELECT * FROM permission_grant WHERE id = %s")
            reach = await _lines(tx, "SELECT * FROM grant_reach WHERE grant_id = %s")
            raise _NotKept
    return Pattern(made, reach, weight)


async def _lines(tx: Transaction, query: str) -> str:
    driver = await tx.driver()
    async with driver.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT", (_GRANT,)) as copy:  # type: ignore[arg-type]
        return "".join([bytes(chunk).decode() async for chunk in copy])


def fill(
    owner_url: str,
    asked: dict[AgencyId, Pattern],
    mixture: Sequence[Pattern],
    *,
    items: Sequence[str],
    size: int,
    seed: int,
    crowded: str | None = None,
) -> int:
    """Load *size* grants: one of each owner for each of *items*, `CROWD` of each for the item *crowded* if there is
    one, the rest about things that nobody will ask for.

    Returns the rows of the finding aid. The order is shuffled within batches, so that what is asked for lies anywhere.
    """
    chance = random.Random(seed)
    wanted = [(pattern, item.removeprefix("itm_")) for item in items for pattern in asked.values()]
    if crowded is not None:
        wanted += [(pattern, crowded.removeprefix("itm_")) for pattern in asked.values() for _ in range(CROWD)]
    if len(wanted) > size:
        raise ValueError("more grants are asked for than the register shall hold")
    others = chance.choices(mixture, weights=[one.weight for one in mixture], k=size - len(wanted))
    planned: list[tuple[Pattern, str | None]] = [*wanted, *((pattern, None) for pattern in others)]
    chance.shuffle(planned)
    filed = 0
    with psycopg.connect(owner_url) as connection, _without_indexes(connection):
        for start in range(0, size, _BATCH):
            batch = [
                pattern.rows(_fresh(chance), about or _fresh(chance))
                for pattern, about in planned[start : start + _BATCH]
            ]
            _copy(connection, "permission_grant", (grant for grant, _ in batch))
            _copy(connection, "grant_reach", (reach for _, reach in batch))
            filed += sum(reach.count("\n") for _, reach in batch)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        # What autovacuum does in life, at once: statistics, and the map that lets an index answer alone.
        connection.execute("VACUUM (ANALYZE) permission_grant")
        connection.execute("VACUUM (ANALYZE) grant_reach")
    return filed


@contextmanager
def _without_indexes(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """Indexes and constraints are taken down and put up again as they were: sorted once, not filled row by row."""
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid IN ('permission_grant'::regclass, 'grant_reach'::regclass) AND contype IN ('p', 'f')"
        " ORDER BY contype, conrelid"
    ).fetchall()
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('permission_grant', 'grant_reach')"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    ).fetchall()
    connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    for table, name, _ in constraints:
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    yield
    # In reverse, so that keys are there before what refers to them.
    for table, name, definition in reversed(constraints):
        connection.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    for _, definition in indexes:
        connection.execute(definition)


def _copy(connection: "psycopg.Connection[Any]", table: str, lines: Iterator[str]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:  # type: ignore[arg-type]
        copy.write("".join(lines))


def _fresh(chance: random.Random) -> str:
    return base64.b32encode(chance.randbytes(17))[:26].decode().lower()


def same_shape(owner_url: str, recorded: str, bulk_item: str, recorded_item: str) -> list[str]:
    """Columns in which a grant recorded over HTTP differs from a bulk-loaded one in more than ids, names and times."""
    own = {"id", "grant_id", "recorded_by", "recorded_at", "valid_from", "valid_until"}
    with psycopg.connect(owner_url, row_factory=psycopg.rows.dict_row) as connection:
        grant = connection.execute("SELECT * FROM permission_grant WHERE id = %s", (recorded,)).fetchone()
        reach = connection.execute("SELECT * FROM grant_reach WHERE grant_id = %s", (recorded,)).fetchall()
        alike = connection.execute(
            "SELECT g.* FROM permission_grant g JOIN grant_reach r ON r.grant_id = g.id"
            " WHERE r.scope_key = %s AND g.owner = %s AND g.id <> %s",
            (f"item:{bulk_item}", grant["owner"], recorded),
        ).fetchone()
        twin = connection.execute("SELECT * FROM grant_reach WHERE grant_id = %s", (alike["id"],)).fetchall()
    differing = _differing(grant, alike, own, recorded_item, bulk_item)
    if len(reach) != len(twin):
        return [*differing, "number of reach rows"]
    for one, other in zip(reach, twin, strict=True):
        differing += _differing(one, other, own, recorded_item, bulk_item)
    return differing


def _differing(one: dict[str, Any], other: dict[str, Any], own: set[str], one_item: str, other_item: str) -> list[str]:
    return [
        name
        for name in one
        if name not in own and str(one[name]).replace(one_item, "@") != str(other[name]).replace(other_item, "@")
    ]
