"""Keeping a process with the policy in force."""

import asyncio

import structlog

from broker.audit.events import PolicyActivated, PolicyRefused, service_actor
from broker.audit.recorder import record
from broker.policy.activation import Considered, HostFolder, PolicyInForce, consider, in_force
from broker.policy.holder import LoadFailure
from broker.processes.register import this_host
from broker.wiring.parts import Parts

_POLICY_ACTOR = service_actor("policy-reload")
_log = structlog.get_logger(__name__)


class PolicyFollower:
    """Keeps a process working with the policy in force: its rules, its partners, its agencies' addresses.

    A worker makes no decision and activates nothing, so following is all that it does.
    """

    def __init__(self, held: Parts) -> None:
        self._held = held
        self._in_force = PolicyInForce(held.policies)
        self._followed: str | None = None

    async def look(self) -> None:
        """Take the policy in force if it is another one than at the last look."""
        async with self._held.work.begin() as tx:
            if await in_force(tx) in (None, self._followed):
                return
            snapshot = await self._in_force.unlocked(tx)
        if snapshot is None:
            return
        policies = self._held.policies
        policies.follow(snapshot)
        self._held.registry.renew(snapshot.bundle.partners)
        self._held.receivers.renew(snapshot.bundle.notified_at)
        self._followed = snapshot.digest
        if policies.differs:
            _log.warning("policy_folder_differs", folder=policies.authored.digest, in_force=snapshot.digest)
        await self._held.presence.report()


class PolicyWatch(PolicyFollower):
    """Besides, puts in force what the author of this host's folder changes there (`activation.consider`).

    A bad policy is recorded and changes nothing. What could not be activated, because the database was away, is
    tried again at the next look.
    """

    def __init__(self, held: Parts) -> None:
        super().__init__(held)
        self._folder = HostFolder(this_host(), str(held.settings.policies))
        self._considered: str | None = None
        self._recorded: LoadFailure | None = None

    async def look(self) -> None:
        """Take a changed folder if it is good, record it if it is not, and follow what is in force."""
        policies = self._held.policies
        if self._considered is not None or policies.borrowed:
            await asyncio.to_thread(policies.reload)
        # What stands in for a folder that was bad at the start is nothing that its author has said.
        if not policies.borrowed and policies.authored.digest != self._considered:
            await self._consider()
        await super().look()
        error = policies.last_error
        if error is not None and error is not self._recorded:
            async with self._held.work.begin() as tx:
                await record(
                    tx,
                    PolicyRefused(
                        actor=_POLICY_ACTOR, faults=max(1, len(error.faults)), in_force=policies.current.digest
                    ),
                )
            self._recorded = error

    async def _consider(self) -> None:
        authored = self._held.policies.authored
        running = self._considered is not None
        async with self._held.work.begin() as tx:
            came: Considered = await consider(tx, authored.bundle, self._folder, _POLICY_ACTOR.sub, running=running)
            if came.activated:
                await record(tx, PolicyActivated(actor=_POLICY_ACTOR, digest=authored.digest, replaces=came.replaces))
        self._considered = authored.digest
