"""Rows of the register: filing, finding, locking, counting. It decides nothing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString

from sqlalchemy import insert, not_, select, update

from broker.grants import duties
from broker.grants.coverage import Request, Trees, lift_key, recorded_keys, scope_keys
from broker.grants.model import Evidence, Grant, GrantStatus, Reach, Scope, Terms
from broker.grants.tables import GrantRow, ReachRow
from broker.kernel.ids import GrantId, ItemId
from broker.kernel.words import Action
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_GRANTS = table(GrantRow)
_REACH = table(ReachRow)

_ANYBODY: Final = "*"
"""The recipient and purpose of a lift in the finding aid. No agency and no purpose can be called that."""
_FIND: Final = """
SELECT DISTINCT r.grant_id, r.counted
FROM unnest(%(owners)s::text[], %(keys)s::text[]) AS wanted(owner, scope_key)
JOIN grant_reach r ON r.owner = wanted.owner AND r.scope_key = wanted.scope_key
WHERE r.action = %(action)s AND r.recipient = ANY(%(recipients)s) AND r.purpose = ANY(%(purposes)s)
"""
_FIND_ACTIVE: Final = _FIND + " AND r.active AND r.valid_until > clock_timestamp()"
# Ended and run out are looked for apart, each where its partial index lies: an OR of both fits neither of them, and
# every refusal would read the whole register.
_FIND_PAST: Final = (
    "(" + _FIND + " AND NOT r.active) UNION (" + _FIND + " AND r.active AND r.valid_until <= clock_timestamp())"
    " ORDER BY grant_id DESC LIMIT 20"
)
# Of each owner some of the grants filed under one of the item's keys, those first that agree in more. Every arm is an
# index lookup of its own and bounded, so that an owner's thousands of standing grants cost no more than a few.
_ARM: Final = """
(SELECT r.grant_id, {rank} AS rank FROM grant_reach r
 WHERE r.owner = wanted.owner AND r.scope_key = wanted.scope_key AND {agrees} LIMIT 20)
"""
_TO_THEM: Final = "r.action = %(action)s AND r.recipient = ANY(%(recipients)s)"
_NEAR: Final = f"""
SELECT grant_id FROM (
    SELECT grant_id, row_number() OVER (PARTITION BY owner ORDER BY min(rank), min(place), grant_id DESC) AS nth
    FROM unnest(%(owners)s::text[], %(keys)s::text[]) WITH ORDINALITY AS wanted(owner, scope_key, place)
    CROSS JOIN LATERAL (
        {_ARM.format(rank=0, agrees=f"{_TO_THEM} AND r.active")}
        UNION ALL {_ARM.format(rank=1, agrees=f"{_TO_THEM} AND NOT r.active")}
        UNION ALL {_ARM.format(rank=2, agrees="r.active")}
        UNION ALL {_ARM.format(rank=3, agrees="NOT r.active")}
    ) AS found
    GROUP BY owner, grant_id
) AS ranked WHERE nth <= 20
"""
_FETCH: Final = """
SELECT id, owner, recipients, include_components, action, purposes, include_subpurposes, scope, fields, valid_from,
    valid_until, max_uses, onward, max_hops, duties, lift, reach_recipients, reach_purposes, caveats,
    evidence_reference, evidence_sha256, status, uses, recorded_by, recorded_agency, recorded_at, confirmed_by,
    revoked_at, revocation_reason, supersedes, superseded_by
FROM permission_grant WHERE id = ANY(%s) ORDER BY id
"""
_FETCH_FOR_SHARE: Final = _FETCH + " FOR SHARE"
_FETCH_FOR_USE: Final = _FETCH + " FOR NO KEY UPDATE"


async def file(tx: Transaction, grant: Grant) -> None:
    """Write a grant and the ways to find it."""
    terms = grant.terms
    await tx.execute(
        insert(_GRANTS).values(
            **terms.model_dump(mode="json", exclude={"evidence", "valid_from", "valid_until"}),
            id=grant.id,
            valid_from=terms.valid_from,
            valid_until=terms.valid_until,
            evidence_reference=terms.evidence.reference,
            evidence_sha256=terms.evidence.sha256,
            reach_recipients=sorted(grant.reach.recipients),
            reach_purposes=sorted(grant.reach.purposes),
            supersedes=grant.supersedes,
            status=grant.status.value,
            uses=grant.uses,
            recorded_by=grant.recorded_by,
            recorded_agency=grant.recorded_agency,
            recorded_at=grant.recorded_at,
        )
    )
    await tx.execute(insert(_REACH), [_way(grant, *way) for way in _ways(terms)])


def _ways(terms: Terms) -> list[tuple[str, str, str, str]]:
    """Action, recipient, purpose and scope key of each way to find a grant."""
    if terms.lift:
        return [(action, _ANYBODY, _ANYBODY, lift_key(item, action)) for action in Action for item in terms.scope.items]
    return [
        (terms.action or "", recipient, purpose, key)
        for recipient in sorted(set(terms.recipients))
        for purpose in sorted(set(terms.purposes))
        for key in recorded_keys(terms.scope)
    ]


def _way(grant: Grant, action: str, recipient: str, purpose: str, key: str) -> dict[str, Any]:
    return {
        "grant_id": grant.id,
        "owner": grant.terms.owner,
        "action": str(action),
        "recipient": recipient,
        "purpose": purpose,
        "scope_key": key,
        "active": grant.status is GrantStatus.ACTIVE,
        "ending": False,
        "counted": grant.terms.max_uses is not None,
        "valid_until": grant.terms.valid_until,
    }


async def find(tx: Transaction, requests: Sequence[Request], trees: Trees, *, past: bool = False) -> Mapping[str, bool]:
    """Ids of grants that may cover one of the *requests* (all alike but for the owner), each with "is it counted".

    With *past*, a few of those that no longer can; they serve explanations only.
    """
    if not requests:
        return {}
    first = requests[0]
    pairs = [
        (r.owner, key) for r in requests for key in (*scope_keys(r.item, r.kind, r.parts), lift_key(r.item, r.action))
    ]
    rows = await tx.rows(
        _FIND_PAST if past else _FIND_ACTIVE,
        {
            "owners": [owner for owner, _ in pairs],
            "keys": [key for _, key in pairs],
            "action": first.action.value,
            "recipients": [*trees.agencies.chain(first.recipient), _ANYBODY],
            "purposes": [*trees.purposes.chain(first.purpose), _ANYBODY],
        },
    )
    return {row.grant_id: row.counted for row in rows}


async def near(tx: Transaction, requests: Sequence[Request], trees: Trees) -> tuple[str, ...]:
    """Ids of at most 20 grants of each owner that are filed under one of the item's keys, whatever they permit to whom.

    They serve explanations only.
    """
    if not requests:
        return ()
    first = requests[0]
    # In the order of the keys, what names the item itself stands before what names its kind.
    pairs = [(r.owner, key) for r in requests for key in scope_keys(r.item, r.kind, r.parts)]
    rows = await tx.rows(
        _NEAR,
        {
            "owners": [owner for owner, _ in pairs],
            "keys": [key for _, key in pairs],
            "action": first.action.value,
            "recipients": list(trees.agencies.chain(first.recipient)),
        },
    )
    return tuple(row.grant_id for row in rows)


async def fetch(tx: Transaction, ids: Iterable[str]) -> tuple[Grant, ...]:
    """Grants by id, in the order of their ids, without a lock."""
    return await _select(tx, ids, _FETCH)


async def hold(tx: Transaction, found: Mapping[str, bool], *, for_use: bool) -> tuple[Grant, ...]:
    """Grants by id, locked until the transaction ends, in ascending order within each strength of lock.

    A grant that is counted is taken FOR NO KEY UPDATE at once when it is to be used: taking it FOR SHARE first and
    raising the lock later is how two uses of the last permit dead-lock. Others are taken FOR SHARE.
    """
    counted = [key for key, is_counted in found.items() if is_counted and for_use]
    shared = [key for key in found if key not in counted]
    held = await _select(tx, shared, _FETCH_FOR_SHARE)
    return (*held, *await _select(tx, counted, _FETCH_FOR_USE))


async def _select(tx: Transaction, ids: Iterable[str], statement: LiteralString) -> tuple[Grant, ...]:
    wanted = sorted(ids)
    if not wanted:
        return ()
    return tuple(_grant(row) for row in await tx.rows(statement, (wanted,)))


async def hold_for_change(tx: Transaction, grant_id: str) -> Grant | None:
    """One grant FOR UPDATE: when this has answered, every decision that relied on it has committed or will see it."""
    statement = select(_GRANTS).where(_GRANTS.c.id == grant_id).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _grant(row)


async def count_use(tx: Transaction, grant_id: GrantId) -> int:
    """One more use of a counted grant that is held for use. Returns the uses there are now."""
    statement = (
        update(_GRANTS).where(_GRANTS.c.id == grant_id).values(uses=_GRANTS.c.uses + 1).returning(_GRANTS.c.uses)
    )
    return int((await tx.execute(statement)).scalar_one())


async def confirm(tx: Transaction, grant_id: GrantId, by: str, at: datetime) -> None:
    """Make a pending grant active."""
    values = {"status": GrantStatus.ACTIVE.value, "confirmed_by": by, "confirmed_at": at}
    await _change(tx, grant_id, values, active=True)


async def revoke(tx: Transaction, grant_id: GrantId, by: str, at: datetime, reason: str) -> None:
    """End a grant."""
    values = {
        "status": GrantStatus.REVOKED.value,
        "revoked_by": by,
        "revoked_at": at,
        "revocation_reason": reason,
    }
    await _change(tx, grant_id, values, active=False)


async def supersede(tx: Transaction, grant_id: GrantId, by: GrantId) -> None:
    """End a grant that is held, as another one has taken its place."""
    await _change(tx, grant_id, {"status": GrantStatus.SUPERSEDED.value, "superseded_by": by}, active=False)


async def hide(tx: Transaction, grant_id: GrantId) -> None:
    """Let no new decision find a grant. It needs no lock on the grant itself, so it waits for nobody."""
    await tx.execute(update(_REACH).where(_REACH.c.grant_id == grant_id).values(active=False, ending=True))


async def set_status(tx: Transaction, grant_id: GrantId, status: GrantStatus) -> None:
    """Suspend, resume or end a grant that is held."""
    await _change(tx, grant_id, {"status": status.value}, active=status is GrantStatus.ACTIVE)


async def hold_naming(tx: Transaction, owner: str, items: Sequence[ItemId], status: GrantStatus) -> tuple[Grant, ...]:
    """The owner's grants of that status whose scope names one of *items*, FOR UPDATE in the order of their ids."""
    keys = [key for item in items for key in (f"item:{item}", *(lift_key(item, action) for action in Action))]
    naming = select(_REACH.c.grant_id).where(
        _REACH.c.owner == owner,
        _REACH.c.scope_key.in_(keys),
        _REACH.c.active if status is GrantStatus.ACTIVE else not_(_REACH.c.active),
    )
    statement = (
        select(_GRANTS)
        .where(_GRANTS.c.id.in_(naming), _GRANTS.c.status == status.value)
        .order_by(_GRANTS.c.id)
        .with_for_update()
    )
    return tuple(_grant(row) for row in await tx.execute(statement))


async def page(tx: Transaction, owner: str | None, recorded_agency: str | None, after: str, limit: int) -> list[Grant]:
    """Grants in the order of their ids; those of *owner*, or recorded by *recorded_agency*, where given."""
    statement = select(_GRANTS).where(_GRANTS.c.id > after).order_by(_GRANTS.c.id).limit(limit)
    if owner is not None:
        statement = statement.where(_GRANTS.c.owner == owner)
    if recorded_agency is not None:
        statement = statement.where(_GRANTS.c.recorded_agency == recorded_agency)
    return [_grant(row) for row in await tx.execute(statement)]


async def _change(tx: Transaction, grant_id: GrantId, values: Mapping[str, Any], *, active: bool) -> None:
    await tx.execute(update(_GRANTS).where(_GRANTS.c.id == grant_id).values(**values))
    await tx.execute(
        update(_REACH).where(_REACH.c.grant_id == grant_id).values(active=not_(_REACH.c.ending) if active else False)
    )


def _grant(row: Any) -> Grant:
    scope = row.scope
    return Grant(
        id=row.id,
        terms=Terms(
            owner=row.owner,
            recipients=tuple(row.recipients),
            include_components=row.include_components,
            action=None if row.action is None else Action(row.action),
            purposes=tuple(row.purposes),
            include_subpurposes=row.include_subpurposes,
            scope=Scope.model_validate({**scope, "items": tuple(scope["items"])}, strict=False),
            fields=None if row.fields is None else tuple(row.fields),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            max_uses=row.max_uses,
            onward=row.onward,
            caveats=tuple(row.caveats),
            evidence=Evidence(reference=row.evidence_reference, sha256=row.evidence_sha256),
            max_hops=row.max_hops,
            duties=duties.read(row.duties),
            lift=row.lift,
        ),
        reach=Reach(recipients=frozenset(row.reach_recipients), purposes=frozenset(row.reach_purposes)),
        status=GrantStatus(row.status),
        uses=row.uses,
        recorded_by=row.recorded_by,
        recorded_agency=row.recorded_agency,
        recorded_at=row.recorded_at,
        confirmed_by=row.confirmed_by,
        revoked_at=row.revoked_at,
        revocation_reason=row.revocation_reason,
        supersedes=row.supersedes,
        superseded_by=row.superseded_by,
    )
