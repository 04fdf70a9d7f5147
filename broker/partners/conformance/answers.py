"""What an adapter makes of what comes back."""

from typing import Final

from broker.kernel.ids import new_id
from broker.kernel.strict_json import Json
from broker.kernel.wire import WireFault, WireReply
from broker.partners.conformance.trial import (
    ENTRY,
    NotConforming,
    Subject,
    dispatched,
    dispatcher_to,
    found,
    named,
    order_for,
    require,
    says,
    settled,
    terms_of,
    whole,
)
from broker.partners.contract import Answered, Failed, FailureKind, NoHit, Outcome, Refused, StillPending, TimedOut
from broker.partners.fakes import ScriptedWire
from broker.partners.hostile import HOSTILE, served

_IMPATIENT_SECONDS: Final = 0.5
_PATIENT_SECONDS: Final = 8.0
"""Enough for a busy machine; only partners that never finish are given less."""
_GARBAGE: Final[tuple[Json, ...]] = (None, True, "word", {}, {"unexpected": [1, 2]}, [{}], [None], [[]], ["R-1"])
_OTHER_GARBAGE: Final = (b"", b"\0", b"[]", b"NO HIT", b"\x1c" * 9, b"1.001:999999999999\x1d\x1c", b"\xff" * 64)
_WITH_AN_ERROR: Final[tuple[Json, ...]] = ({"code": 1, "message": "no"}, None, [])
_BAD_CALLBACKS: Final = (
    b"",
    b"{",
    b'{"a": 1, "a": 2}',
    b"[NaN]",
    b"\xff",
    b"[" * 100_000,
    b"12",
    b'"COMPLETED"',
    b"[{}]",
)


async def finds_a_hit(subject: Subject) -> None:
    """The probe of somebody in the gallery gives candidates."""
    outcome, _wire = await whole(subject, order_for(subject, subject.hit))
    require(found(outcome), f"a hit gave {named(outcome)}")


async def says_no_hit(subject: Subject) -> None:
    """A stranger's probe gives "no hit", and not a failure or an empty list."""
    outcome, _wire = await whole(subject, order_for(subject, subject.stranger))
    none = isinstance(outcome, NoHit) or (isinstance(outcome, Answered) and not outcome.candidates)
    require(none, f"a stranger gave {named(outcome)}")


async def invents_no_owner(subject: Subject) -> None:
    """What stands in an outcome was in a reply: references, owners, custodians, caveats."""
    outcome, wire = await whole(subject, order_for(subject, subject.hit))
    if not isinstance(outcome, Answered):
        raise NotConforming(f"a hit gave {named(outcome)}")

    def said(text: str) -> bool:
        return any(says(reply, text) for reply in wire.replies)

    for candidate in outcome.candidates:
        require(said(candidate.reference), "a candidate's reference is not the partner's")
        marks = candidate.handling
        if marks is not None:
            told = (marks.owner, marks.custodian, marks.source_reference, *marks.caveats)
            require(all(said(text) for text in told if text is not None), "a mark is not the partner's own")


async def types_refusals(subject: Subject) -> None:
    """A partner that declines or breaks gives `Refused` or `Failed`, never "no hit"."""
    for status in (400, 401, 403, 404, 409, 418, 422, 429, 500, 503):
        for body in _WITH_AN_ERROR:
            await _must_not_answer(subject, WireReply(status, body), f"status {status}")


async def types_garbage(subject: Subject) -> None:
    """What is not the protocol's gives `Failed`, never "no hit" or half an answer."""
    for status in (200, 202, 204, 206):
        for body in _GARBAGE:
            await _must_not_answer(subject, WireReply(status, body), f"status {status} with {body!r}")
        for octets in _OTHER_GARBAGE:
            await _must_not_answer(subject, WireReply(status, None, octets), f"status {status} with {octets!r}")


async def types_cut_replies(subject: Subject) -> None:
    """A reply in the partner's own media type that was cut short is no answer, wherever it was cut.

    Cut JSON is the wire's to find; of any other type only the adapter knows where it ends.
    """
    _outcome, wire = await whole(subject, order_for(subject, subject.hit))
    for octets in (reply.octets for reply in wire.replies if reply.octets):
        for length in (1, len(octets) // 3, len(octets) // 2, len(octets) - 2, len(octets) - 1):
            cut = WireReply(200, None, octets[:length])
            await _must_not_answer(subject, cut, f"a reply cut after {length} of {len(octets)} bytes")


async def survives_hostile_partners(subject: Subject) -> None:
    """Drips, bombs, cuts and trick JSON end as the typed outcome that the wire gives them."""
    for name, (reply, expected) in HOSTILE.items():
        async with served(reply) as partner:
            seconds = _IMPATIENT_SECONDS if isinstance(expected, TimedOut) else _PATIENT_SECONDS
            outcome = await dispatched(subject, partner.url, seconds)
        wanted = _wanted(subject, expected)
        require(outcome == wanted, f"{name}: gave {named(outcome)} instead of {named(wanted)}")


async def lets_wire_failures_pass(subject: Subject) -> None:
    """Whatever fails on the wire is for dispatch to see; an adapter that swallows it would call it an answer."""
    order = order_for(subject, subject.hit)
    for fault in WireFault:
        outcome = await settled(subject.adapter.search(order, ScriptedWire([fault])))
        require(isinstance(outcome, Failed | TimedOut), f"{fault.value} gave {named(outcome)}")
        outcome = await settled(subject.adapter.poll(terms_of(order), "task-1", ScriptedWire([fault])))
        require(isinstance(outcome, Failed | TimedOut), f"{fault.value}, in a poll, gave {named(outcome)}")


async def reads_callbacks_strictly(subject: Subject) -> None:
    """Garbage sent to the callback is never an answer, nor is an answer to another transaction."""
    order = order_for(subject, subject.hit)
    query = {"transactionId": order.transaction_id, "taskId": "task-1"}
    wrong = {"transactionId": new_id("trx"), "taskId": "task-1"}
    trials = [(body, query) for body in _BAD_CALLBACKS] + [(b"[]", wrong), (b"[]", {})]
    async with dispatcher_to(subject, subject.url) as dispatcher:
        for body, asked in trials:
            outcome = dispatcher.callback(ENTRY, terms_of(order), body, asked)
            require(isinstance(outcome, Failed | StillPending), f"callback {body[:20]!r} gave {named(outcome)}")


def _wanted(subject: Subject, expected: Outcome) -> Outcome:
    # Tricks with JSON do not reach an adapter that takes none: to the wire they are of the wrong type.
    if subject.media_type != "application/json" and expected == Failed(kind=FailureKind.NOT_STRICT_JSON):
        return Failed(kind=FailureKind.WRONG_CONTENT_TYPE)
    return expected


async def _must_not_answer(subject: Subject, reply: WireReply, what: str) -> None:
    order = order_for(subject, subject.hit)
    outcome = await settled(subject.adapter.search(order, ScriptedWire([reply])))
    require(isinstance(outcome, Refused | Failed | TimedOut), f"{what} gave {named(outcome)}")
    outcome = await settled(subject.adapter.poll(terms_of(order), "task-1", ScriptedWire([reply])))
    allowed = isinstance(outcome, Refused | Failed | TimedOut | StillPending)
    require(allowed, f"{what}, to a poll, gave {named(outcome)}")
