"""What an adapter sends, where to, and how it behaves beside others."""

import asyncio
import copy
import time
from typing import Final

from broker.kernel.wire import WireFault
from broker.partners.conformance.trial import (
    Subject,
    decoded,
    dispatched,
    found,
    named,
    names,
    order_for,
    require,
    settled,
    terms_of,
    texts,
    whole,
    wire_to,
)
from broker.partners.contract import Failed, FailureKind, SearchOrder
from broker.partners.fakes import ScriptedWire, SentCall
from broker.partners.hostile import redirect_to, reply_with, served

LONGEST_BLOCK_SECONDS: Final = 3.0


async def carries_the_transaction_id(subject: Subject) -> None:
    """Every search names the order's transaction id, exactly, in its query or body."""
    order = order_for(subject, subject.hit)
    first = await _first_call(subject, order)
    require(names(first, order.transaction_id), "the order's transaction id is not in the call")


async def repeats_unchanged(subject: Subject) -> None:
    """The same order asked again, after a failure too, is the same call: else the partner sees two searches."""
    order = order_for(subject, subject.hit)
    first = [await _first_call(subject, order)]
    for fault in (WireFault.TIMED_OUT, WireFault.UNREACHABLE, WireFault.TRUNCATED):
        wire = ScriptedWire([fault])
        await settled(subject.adapter.search(order, wire))
        first += wire.sent[:1]
        # An adapter that repeats by itself must repeat exactly, too.
        repeated = [one for one in wire.sent[1:] if (one.method, one.path) == (wire.sent[0].method, wire.sent[0].path)]
        require(all(one == wire.sent[0] for one in repeated), "the adapter's own repeat differs from the first call")
    require(all(call == first[0] for call in first), "asking again sent another call")


async def carries_the_probe(subject: Subject) -> None:
    """The probe's bytes arrive as they are."""
    order = order_for(subject, subject.hit)
    _outcome, wire = await whole(subject, order)
    carried = [decoded(text) for call in wire.sent for text in texts(call.json)]
    plain = [call.body.content for call in wire.sent if call.body is not None]
    found_whole = order.probe.content in carried or any(order.probe.content in body for body in plain)
    require(found_whole, "the probe's bytes are not in any call, as they are or in base 64")


async def keeps_no_state(subject: Subject) -> None:
    """Nothing stays on the adapter, and orders that run at the same time do not mix."""
    before = copy.deepcopy(getattr(subject.adapter, "__dict__", {}))
    orders = [order_for(subject, subject.hit), order_for(subject, subject.stranger), order_for(subject, subject.hit)]
    outcomes = await asyncio.gather(*(whole(subject, order) for order in orders))
    for order, (outcome, wire) in zip(orders, outcomes, strict=True):
        right = found(outcome) == (order.probe.content == subject.hit)
        require(right, f"among others at the same time, a search gave {named(outcome)}")
        others = {one.transaction_id for one in orders} - {order.transaction_id}
        mixed = any(names(call, other) for call in wire.sent for other in others)
        require(not mixed, "an order's call names another order's transaction id")
    require(getattr(subject.adapter, "__dict__", {}) == before, "the adapter has changed itself")


async def follows_no_redirect(subject: Subject) -> None:
    """Pointed elsewhere, it goes nowhere."""
    async with served(reply_with(b"[]")) as elsewhere, served(redirect_to(elsewhere.url)) as partner:
        outcome = await dispatched(subject, partner.url)
        require(elsewhere.connections == 0, "the redirection was followed")
        require(outcome == Failed(kind=FailureKind.REDIRECTED), f"a redirection gave {named(outcome)}")


async def stays_below_its_base(subject: Subject) -> None:
    """A task id that the partner made up cannot lead a poll elsewhere."""
    terms = terms_of(order_for(subject, subject.hit))
    for task_id in ("../../admin", "..", "a/b", "a?b=c", "a#b", "//elsewhere.example/x", "a b", "\u00fc"):
        async with served(reply_with(b"[]", status="404 Not Found")) as partner, wire_to(subject, partner.url) as wire:
            await settled(subject.adapter.poll(terms, task_id, wire))
        for call in wire.sent:
            steps = call.path.split("/")[1:]
            plain = "" not in steps and ".." not in steps and not any(mark in call.path for mark in "?# ")
            require(plain and task_id not in call.path, f"the task id {task_id!r} went into the path as it is")


async def does_not_block(subject: Subject) -> None:
    """While one search runs, everything else goes on: no sleeping or network in the thread itself."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            longest, last = max(longest, now - last), now

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await whole(subject, order_for(subject, subject.hit))
    await asyncio.sleep(0.02)
    watching.cancel()
    require(longest < LONGEST_BLOCK_SECONDS, f"the event loop stood still for {longest:.1f} s")


async def _first_call(subject: Subject, order: SearchOrder) -> SentCall:
    async with wire_to(subject) as wire:
        await settled(subject.adapter.search(order, wire))
    require(bool(wire.sent), "nothing was sent")
    return wire.sent[0]
