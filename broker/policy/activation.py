"""Which policy is in force: one row, updated by activation and share-locked by every decision.

Between the two there is no moment at which a decision is made under one policy and committed after another was
activated: the activation waits for the decisions that hold the row, and the next decision sees the new digest.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from broker.policy import places
from broker.policy.bundle import PolicyBundle
from broker.policy.holder import Policies
from broker.policy.question import PolicyEngineFailure
from broker.policy.snapshot import PolicySnapshot
from broker.policy.tables import PolicyBundleRow, PolicyInForceRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

_log = structlog.get_logger(__name__)
_bundles: Final = table(PolicyBundleRow)
_in_force: Final = table(PolicyInForceRow)
_SEEN: Final = sa.select(_in_force.c.digest)
_SHARED: Final = _SEEN.with_for_update(read=True)
_ALONE: Final = _SEEN.with_for_update()
_NOW: Final = sa.func.clock_timestamp()


async def store(tx: Transaction, bundle: PolicyBundle, by: str) -> None:
    """Keep the files under their digest, for good. Does nothing when they are kept already."""
    files = {path: content.decode("utf-8") for path, content in bundle.files.items()}
    await tx.execute(
        insert(_bundles)
        .values(digest=bundle.digest, files=files, loaded_at=_NOW, loaded_by=by)
        .on_conflict_do_nothing()
    )


async def activate(tx: Transaction, bundle: PolicyBundle, by: str) -> str | None:
    """Put the bundle in force; returns the digest that it replaces, None for the first.

    The caller has run `prepare` on it, and records the activation in the same transaction. Waits for the decisions
    under way; those that come later decide under the new one.
    """
    await store(tx, bundle, by)
    before: str | None = (await tx.execute(_ALONE)).scalar_one_or_none()
    if before == bundle.digest:
        return before
    values = {"digest": bundle.digest, "activated_at": _NOW, "activated_by": by}
    # The first activation finds no row to lock; two of them at once meet here, and the later one wins.
    statement = insert(_in_force).values(singleton=True, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["singleton"], set_=values))
    await places.note(tx, bundle.agencies, first=before is None)
    return before


async def in_force_for_share(tx: Transaction) -> str | None:
    """The digest in force, locked against activation until the transaction ends; None before the first activation.

    Without a policy in force nothing may be decided.
    """
    digest: str | None = (await tx.execute(_SHARED)).scalar_one_or_none()
    return digest


async def in_force(tx: Transaction) -> str | None:
    """The digest in force at this moment, not locked: for showing, and for dry runs, which promise nothing."""
    digest: str | None = (await tx.execute(_SEEN)).scalar_one_or_none()
    return digest


async def fetch(tx: Transaction, digest: str) -> Mapping[str, bytes]:
    """The files kept under a digest. Raises PolicyEngineFailure when there are none."""
    row = await tx.execute(sa.select(_bundles.c.files).where(_bundles.c.digest == digest))
    files: dict[str, str] | None = row.scalar_one_or_none()
    if files is None:
        raise PolicyEngineFailure("the policy in force is not on record")
    return {path: text.encode("utf-8") for path, text in files.items()}


class PolicyInForce:
    """Hands each decision the policy that the database says is in force, loaded here or fetched from there."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def locked(self, tx: Transaction) -> PolicySnapshot | None:
        """The policy, which stays in force until the transaction ends; None, after an alarm, if it cannot be had.

        None is a Deny: nothing may be decided without the policy in force, and least of all under another one.
        """
        return await self._snapshot(tx, await in_force_for_share(tx))

    async def unlocked(self, tx: Transaction) -> PolicySnapshot | None:
        """The same without the lock, for answers that promise nothing."""
        return await self._snapshot(tx, await in_force(tx))

    async def _snapshot(self, tx: Transaction, digest: str | None) -> PolicySnapshot | None:
        if digest is None:
            _log.error("no_policy_in_force", alarm=True)
            return None
        held = self._policies.snapshot_for(digest)
        if held is not None:
            return held
        try:
            files = await fetch(tx, digest)
            # Building runs the suites: some tenths of a second, once per process and policy, beside the loop.
            return await asyncio.to_thread(self._policies.adopt, digest, files)
        except PolicyEngineFailure as failure:
            _log.error("policy_in_force_not_available", alarm=True, digest=digest, detail=failure.detail)
            return None
