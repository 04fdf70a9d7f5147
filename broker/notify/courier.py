"""The worker's duty that brings messages to registered addresses: signed, at least once, until they are taken.

A message counts as delivered when its receiver has answered 2xx. Everything else — nobody there, too slow, a
redirect, any other status — is tried again, first after a second and ever more slowly, for ever. What a worker had
taken when it died is taken up again; the receiver then sees the same id twice and drops one.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

import structlog

from broker.audit.events import NotificationDelivered, service_actor
from broker.audit.recorder import record
from broker.jobs.queue import every
from broker.kernel.ids import AgencyId
from broker.kernel.wire import WireFailure
from broker.notify import repository
from broker.notify.model import Notification
from broker.notify.receivers import Receiver, Receivers
from broker.partners.callbacks import SIGNATURE_HEADER, sign
from broker.storage.unit_of_work import UnitOfWork
from broker.transport import Budget, Transport

COURIER: Final = service_actor("courier")
LOOK_SECONDS: Final = 1.0
CALL_SECONDS: Final = 10.0
ROUND_SECONDS: Final = 30.0
"""After that long no further message of a batch is begun."""
LEASE: Final = timedelta(seconds=ROUND_SECONDS + 3 * CALL_SECONDS)
FIRST_WAIT: Final = timedelta(seconds=1)
_AT_ONCE: Final = 100
_ALARM_ATTEMPTS: Final = 8
"""From that many fruitless rounds on, about three minutes, the log raises an alarm."""
_log = structlog.get_logger(__name__)


class Courier:
    """One round at a time for each agency, so that one that is slow or away holds up nobody else's messages."""

    def __init__(  # whom to reach, and how patiently
        self,
        work: UnitOfWork,
        transport: Transport,
        receivers: Receivers,
        *,
        call_seconds: float = CALL_SECONDS,
        lease: timedelta = LEASE,
        first_wait: timedelta = FIRST_WAIT,
    ) -> None:
        self._work = work
        self._transport = transport
        self._receivers = receivers
        self._call_seconds = call_seconds
        self._lease = lease
        self._first_wait = first_wait
        self._rounds: dict[AgencyId, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look every second, until cancelled. What is under way then is left to its lease."""
        try:
            await every(LOOK_SECONDS, "notifications", self.look)
        finally:
            for task in self._rounds.values():
                task.cancel()
            await self.settled()

    async def look(self) -> None:
        """Begin a round for every agency with something due, unless one is under way."""
        async with self._work.begin() as tx:
            due = await repository.due(tx, self._receivers.agencies())
        for agency in due:
            if agency not in self._rounds or self._rounds[agency].done():
                self._rounds[agency] = asyncio.create_task(self._round(agency))

    async def settled(self) -> None:
        """Wait until no round is under way."""
        await asyncio.gather(*self._rounds.values(), return_exceptions=True)

    async def _round(self, agency: AgencyId) -> None:
        try:
            await self._bring(agency)
        except Exception:  # noqa: BLE001 - whatever it was, the lease ends and the next round comes
            _log.exception("notification_round_failed", agency=agency)

    async def _bring(self, agency: AgencyId) -> None:
        receiver = self._receivers.find(agency)
        if receiver is None:
            return
        async with self._work.begin() as tx:
            batch = await repository.take(tx, agency, _AT_ONCE, self._lease)
        ends = asyncio.get_running_loop().time() + ROUND_SECONDS
        while batch:
            if asyncio.get_running_loop().time() >= ends:
                await self._put_back(batch)
                return
            fault, away = await self._tell(receiver, batch[0])
            if fault is None:
                await self._arrived(batch[0])
                batch = batch[1:]
                continue
            # A receiver that is away is not called again for each of the others.
            refused, batch = (batch, []) if away else (batch[:1], batch[1:])
            await self._failed(agency, refused, fault)

    async def _tell(self, receiver: Receiver, message: Notification) -> tuple[str | None, bool]:
        """What went wrong, if anything did, and whether that is the receiver's and not this one message's."""
        budget = Budget(total_seconds=self._call_seconds, call_seconds=self._call_seconds, reply_bytes=0, retries=0)
        wire = self._transport.wire(receiver.url, budget)
        body = json.dumps(message.told(), sort_keys=True, separators=(",", ":")).encode()
        # Read anew for each message: a receiver holds the time that is signed against its own clock.
        signed = sign(receiver.secret(), method="POST", target=wire.target, body=body, at=datetime.now(UTC))
        try:
            status = await wire.tell(body, {SIGNATURE_HEADER: signed})
        except WireFailure as failure:
            return failure.fault.value, True
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None, False
        return f"status {status}", status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS

    async def _arrived(self, message: Notification) -> None:
        async with self._work.begin() as tx:
            attempts = await repository.delivered(tx, message.id)
            if attempts is not None:
                await record(
                    tx,
                    NotificationDelivered(
                        actor=COURIER,
                        notification_id=message.id,
                        agency=message.to,
                        subject=message.subject.value,
                        attempts=attempts,
                    ),
                )

    async def _failed(self, agency: AgencyId, messages: list[Notification], fault: str) -> None:
        async with self._work.begin() as tx:
            await repository.failed(tx, [one.id for one in messages], fault, self._first_wait)
        attempts = max(one.attempts for one in messages) + 1
        tell = _log.error if attempts >= _ALARM_ATTEMPTS else _log.warning
        tell("notification_undelivered", agency=agency, messages=len(messages), attempts=attempts, fault=fault)

    async def _put_back(self, messages: list[Notification]) -> None:
        async with self._work.begin() as tx:
            await repository.untried(tx, [one.id for one in messages])
