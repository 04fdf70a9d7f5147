"""What the checks are made of: orders, wires to the stand-in, and hostile partners in its place."""

import asyncio
import base64
import binascii
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from pydantic import HttpUrl

from broker.kernel.ids import AgencyId, PartnerId, PurposeId, TransactionId, new_id
from broker.kernel.partner import Agreement, Limits, PartnerEntry
from broker.kernel.strict_json import Json
from broker.kernel.wire import WireFailure, WireFault, WireReply
from broker.partners.callbacks import api_key
from broker.partners.contract import (
    Adapter,
    Answered,
    Failed,
    FailureKind,
    OrderTerms,
    Outcome,
    ProbeImage,
    SearchOrder,
    StillPending,
    Submitted,
    TimedOut,
)
from broker.partners.dispatch import Dispatcher
from broker.partners.fakes import RecordingWire, SentCall
from broker.partners.registry import Registry
from broker.transport import Budget, Transport

ENTRY: Final = PartnerId("under-test")
_PURPOSE: Final = PurposeId("criminal_investigation")
_DAY: Final = date(2020, 2, 20)
_POLLS: Final = 60
_CALL_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Subject:
    """An adapter, and the stand-in that it is to be tried against."""

    adapter: Adapter
    url: str
    """Where the stand-in is running."""
    gallery: str
    secret: bytes = field(repr=False)
    """What the stand-in shares with the broker."""
    hit: bytes = field(repr=False)
    """A JPEG of somebody in the gallery."""
    stranger: bytes = field(repr=False)
    """A JPEG of somebody who is not."""
    key_header: str | None = None
    """Where the stand-in wants the key, as in the register; None: as a bearer token."""
    participant: str | None = None
    """For a partner that verifies: whom `hit` shows, by the stand-in's own name for the record."""
    media_type: str = "application/json"
    """What the stand-in answers in."""


class NotConforming(AssertionError):
    """What the adapter did that it must not, or did not do that it must."""


def require(holds: bool, otherwise: str) -> None:
    """Raise `NotConforming` with *otherwise* unless it *holds*."""
    if not holds:
        raise NotConforming(otherwise)


def order_for(subject: Subject, probe: bytes) -> SearchOrder:
    """A fresh order for the stand-in's gallery."""
    return SearchOrder(
        transaction_id=TransactionId(new_id("trx")),
        gallery=subject.gallery,
        max_candidates=10,
        purpose=_PURPOSE,
        asked_on=_DAY,
        participant=subject.participant,
        probe=ProbeImage.of(probe),
    )


def terms_of(order: SearchOrder) -> OrderTerms:
    """The order without its probe, as a poll and a callback see it."""
    return OrderTerms.model_validate(order.model_dump(exclude={"probe", "callback_url"}))


@asynccontextmanager
async def wire_to(subject: Subject, url: str | None = None) -> AsyncIterator[RecordingWire]:
    """A real wire to the stand-in, or to *url* in its place, that keeps what passes."""
    budget = Budget(total_seconds=_CALL_SECONDS * _POLLS, call_seconds=_CALL_SECONDS, reply_bytes=5_000_000, retries=0)
    async with Transport() as transport:
        key = api_key(subject.secret)
        yield RecordingWire(transport.wire(url or subject.url, budget, bearer=key, key_header=subject.key_header))


@asynccontextmanager
async def dispatcher_to(subject: Subject, url: str, call_seconds: float = 5.0) -> AsyncIterator[Dispatcher]:
    """The real dispatcher with the adapter under test; its partner is `ENTRY` at *url*."""
    agency = AgencyId("DHS")
    entry = PartnerEntry(
        id=ENTRY,
        title="Under test",
        owner=agency,
        custodian=agency,
        adapter=subject.adapter.name,
        url=HttpUrl(url),
        gallery=subject.gallery,
        approved=True,
        agreement=Agreement(
            number="none", valid_from=date(2020, 1, 1), valid_until=date(2020, 1, 2), purposes=(_PURPOSE,)
        ),
        key_header=subject.key_header,
        probe_kinds=("photo",),
        limits=Limits(call_seconds=call_seconds, reply_bytes=1_000_000, attempts=1),
    )
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry([entry], {}, Path(folder) / "keys", {subject.adapter.name: subject.adapter})
        async with Transport() as transport:
            yield Dispatcher(registry, transport)


async def dispatched(subject: Subject, url: str, call_seconds: float = 5.0) -> Outcome:
    """What comes of a search when *url* stands in the partner's place."""
    async with dispatcher_to(subject, url, call_seconds) as dispatcher:
        order = order_for(subject, subject.hit)
        return (await dispatcher.search(ENTRY, order, deadline_seconds=10.0)).outcome


async def whole(subject: Subject, order: SearchOrder) -> tuple[Outcome, RecordingWire]:
    """Search the stand-in and poll it until it has answered; the outcome, and all that passed."""
    async with wire_to(subject) as wire:
        outcome = await settled(subject.adapter.search(order, wire))
        if not isinstance(outcome, Submitted):
            return outcome, wire
        task_id, wait = outcome.task_id, outcome.poll_after_seconds
        for _poll in range(_POLLS):
            await asyncio.sleep(min(wait, 1.0))
            outcome = await settled(subject.adapter.poll(terms_of(order), task_id, wire))
            if not isinstance(outcome, StillPending):
                return outcome, wire
            wait = outcome.poll_after_seconds
    raise NotConforming("the stand-in never answered a poll")


async def settled(asked: Awaitable[Outcome]) -> Outcome:
    """The outcome, with failures of the wire as dispatch would type them; anything else raised does not conform."""
    try:
        outcome = await asked
    except WireFailure as failure:
        if failure.fault is WireFault.TIMED_OUT:
            return TimedOut()
        return Failed(kind=FailureKind(failure.fault.value))
    except Exception as error:
        raise NotConforming(f"it raised {type(error).__name__}") from error
    require(isinstance(outcome, Outcome), f"{type(outcome).__name__} is no outcome")
    return outcome


def found(outcome: Outcome) -> bool:
    """Whether the partner reported anybody."""
    return isinstance(outcome, Answered) and bool(outcome.candidates)


def named(outcome: object) -> str:
    """How a fault speaks of an outcome; never with a candidate in it."""
    kind = type(outcome).__name__
    return f"{kind}({outcome.kind.value})" if isinstance(outcome, Failed) else kind


def texts(value: Json) -> Iterator[str]:
    """Every text and number in a JSON value, as text."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)
    elif isinstance(value, str | int | float):
        yield str(value)


def says(reply: WireReply, text: str) -> bool:
    """Whether *text* stands in a reply; a name or a mark that does not is not the partner's."""
    return text in set(texts(reply.json)) or (reply.octets is not None and text.encode() in reply.octets)


def names(call: SentCall, text: str) -> bool:
    """Whether *text* stands in a call: in its query, its path, or what it carries."""
    told = {*call.query.values(), *texts(call.json), *call.path.split("/")}
    return text in told or (call.body is not None and text.encode() in call.body.content)


def decoded(text: str) -> bytes:
    """What *text* holds in base 64, if it does."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
