"""Keeping a process with the policy in force."""

import asyncio

from broker.audit.events import PolicyActivated, PolicyRefused, service_actor
from broker.audit.recorder import record
from broker.policy.activation import PolicyInForce, activate, in_force
from broker.wiring.parts import Parts

_POLICY_ACTOR = service_actor("policy-reload")


class PolicyWatch:
    """Puts what the policy folder says in force, and looks every second whether it says something else.

    A bad policy is recorded and changes nothing. What could not be activated, because the database was away, is
    tried again at the next look.
    """

    def __init__(self, held: Parts) -> None:
        self._held = held
        self._activated: str | None = None

    async def activate(self) -> None:
        """Put this process's newest good policy in force, unless it did so already."""
        snapshot = self._held.policies.current
        if snapshot.digest == self._activated:
            return
        async with self._held.work.begin() as tx:
            replaces = await activate(tx, snapshot.bundle, _POLICY_ACTOR.sub)
            if replaces != snapshot.digest:
                await record(tx, PolicyActivated(actor=_POLICY_ACTOR, digest=snapshot.digest, replaces=replaces))
        self._held.registry.renew(snapshot.bundle.partners)
        self._held.receivers.renew(snapshot.bundle.notified_at)
        self._activated = snapshot.digest

    async def look(self) -> None:
        """Take a changed policy if it is good; record it if it is not."""
        policies = self._held.policies
        before = policies.last_error
        await asyncio.to_thread(policies.reload)
        await self.activate()
        error = policies.last_error
        if error is not None and error is not before:
            async with self._held.work.begin() as tx:
                await record(
                    tx,
                    PolicyRefused(
                        actor=_POLICY_ACTOR, faults=max(1, len(error.faults)), in_force=policies.current.digest
                    ),
                )


class PolicyFollower:
    """Keeps a worker's partners, and the agencies' addresses, those of the policy in force.

    A worker makes no decision and activates nothing.
    """

    def __init__(self, held: Parts) -> None:
        self._held = held
        self._in_force = PolicyInForce(held.policies)
        self._followed: str | None = None

    async def look(self) -> None:
        """Take the partners of the policy in force if it is another one than at the last look."""
        async with self._held.work.begin() as tx:
            if await in_force(tx) in (None, self._followed):
                return
            snapshot = await self._in_force.unlocked(tx)
        if snapshot is not None:
            self._held.registry.renew(snapshot.bundle.partners)
            self._held.receivers.renew(snapshot.bundle.notified_at)
            self._followed = snapshot.digest
