"""Which policy is in force: one row, updated by activation and share-locked by every decision.

Between the two there is no moment at which a decision is made under one policy and committed after another was
activated: the activation waits for the decisions that hold the row, and the next decision sees the new digest.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from broker.policy import places
from broker.policy.bundle import PolicyBundle
from broker.policy.holder import Policies
from broker.policy.question import PolicyEngineFailure
from broker.policy.snapshot import PolicySnapshot
from broker.policy.tables import PolicyBundleRow, PolicyFolderRow, PolicyInForceRow
from broker.storage.columns import table
from broker.storage.unit_of_work import Transaction

CHANNEL: Final = "broker_policy"
"""On it every process hears that another policy came into force, once that is committed."""
_log = structlog.get_logger(__name__)
_bundles: Final = table(PolicyBundleRow)
_in_force: Final = table(PolicyInForceRow)
_folders: Final = table(PolicyFolderRow)
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
    await tx.execute(sa.select(sa.func.pg_notify(CHANNEL, bundle.digest)))
    return before


@dataclass(frozen=True, slots=True)
class HostFolder:
    """The policy folder of one host."""

    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Considered:
    """What became of what a folder says."""

    in_force: str
    replaces: str | None
    """What was in force before."""
    activated: bool
    """Whether the folder's policy was put in force just now."""


async def note_folder(tx: Transaction, bundle: PolicyBundle, folder: HostFolder) -> None:
    """Note that what *folder* says has been taken notice of."""
    values = {"digest": bundle.digest, "at": _NOW}
    noted = insert(_folders).values(host=folder.host, path=folder.path, **values)
    await tx.execute(noted.on_conflict_do_update(index_elements=["host", "path"], set_=values))


async def consider(tx: Transaction, bundle: PolicyBundle, folder: HostFolder, by: str, *, running: bool) -> Considered:
    """Put what *folder* says in force if that is its author's act, and follow what is in force if it is not.

    The act is a change of the folder. One made while a process looks on (*running*) counts at once, whatever other
    hosts did: the last author's word holds. One found at a start counts if the folder had said what is in force; else
    others have decided since, and an older folder must not undo it. The caller records an activation.
    """
    # 1. The policy row, before anything else and against all other activations; then this folder's own row.
    before: str | None = (await tx.execute(_ALONE)).scalar_one_or_none()
    mine = (_folders.c.host == folder.host) & (_folders.c.path == folder.path)
    said = (await tx.execute(sa.select(_folders.c.digest).where(mine).with_for_update())).scalar_one_or_none()
    # 2. Of several processes that see one change, the first acts upon it; the others find it noted.
    changed = said is not None and said != bundle.digest
    acts = before is None or (changed and (running or said == before))
    await note_folder(tx, bundle, folder)
    if not acts:
        assert before is not None
        return Considered(before, before, activated=False)
    await activate(tx, bundle, by)
    return Considered(bundle.digest, before, activated=before != bundle.digest)


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
