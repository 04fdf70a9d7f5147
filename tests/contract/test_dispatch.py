"""Whatever an adapter or a partner does, dispatch gives one typed outcome, in time."""

import asyncio
import time
from datetime import date

import pytest
from structlog.testing import capture_logs

from adapters.cbp.adapter import CbpAdapter
from adapters.dos.adapter import DosAdapter
from adapters.faces.samples import hit_probe
from broker.kernel.partner import Agreement, Limits, PartnerEntry
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    NoHit,
    OrderTerms,
    ProbeImage,
    Refusal,
    Refused,
    ReportedCandidate,
    SearchOrder,
    StillPending,
    Submitted,
    TimedOut,
    WireFailure,
    WireFault,
)
from broker.partners.dispatch import Dispatcher
from broker.partners.hostile import HOSTILE, reply_with, served
from broker.partners.registry import Registry
from broker.transport import Transport
from tests.contract.conftest import SECRET

ORDER = SearchOrder(
    transaction_id="trx_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    gallery="travellers",
    max_candidates=3,
    purpose="criminal_investigation",
    probe=ProbeImage.of(hit_probe(0)),
)
TERMS = OrderTerms(**ORDER.model_dump(exclude={"probe", "callback_url"}))
ADAPTER_ERROR = Failed(kind=FailureKind.ADAPTER_ERROR)


def entry(url="https://partner.example", **limits):
    return PartnerEntry(
        id="p",
        title="P",
        owner="CBP",
        custodian="CBP",
        adapter="a",
        url=url,
        gallery="travellers",
        approved=True,
        agreement=Agreement(
            number="1", valid_from=date(2020, 1, 1), valid_until=date(2035, 1, 1), purposes=("criminal_investigation",)
        ),
        probe_kinds=("photo",),
        limits=Limits(**{"call_seconds": 8.0, "attempts": 2, **limits}),
    )


class Scripted:
    """An adapter that does what the test says."""

    name = "a"

    def __init__(self, act):
        self.act = act

    async def search(self, order, wire):
        return await self.act(wire)

    async def poll(self, order, task_id, wire):
        return await self.act(wire)

    def callback(self, order, body, query):
        return self.act(body)


async def dispatch(adapter, tmp_path, url="http://127.0.0.1:9", call="search", seconds=5.0, on_sent=None, **limits):
    (tmp_path / "keys").mkdir(exist_ok=True, mode=0o700)
    key = tmp_path / "keys" / "partner-p.key"
    if not key.exists():
        key.touch(0o600)
        key.write_bytes(SECRET)
    registry = Registry([entry(**limits)], {"p": url}, tmp_path / "keys", {"a": adapter})
    async with Transport() as transport:
        dispatcher = Dispatcher(registry, transport)
        if call == "search":
            return await dispatcher.search("p", ORDER, deadline_seconds=seconds, on_sent=on_sent)
        if call == "poll":
            return await dispatcher.poll("p", TERMS, "task-1", deadline_seconds=seconds, on_sent=on_sent)
        return dispatcher.callback("p", TERMS, b"[]", {})


def outcome_of(act, tmp_path, **options):
    return asyncio.run(dispatch(Scripted(act), tmp_path, **options)).outcome


def candidate(number, **changed):
    return ReportedCandidate(**{"reference": f"R-{number}", "rank": number, "score": 0.5, **changed})


def giving(outcome):
    async def act(_wire):
        return outcome

    return act


def raising(error):
    async def act(_wire):
        raise error

    return act


def test_no_candidates_are_a_no_hit(tmp_path):
    assert outcome_of(giving(Answered(candidates=())), tmp_path) == NoHit()


def test_candidates_come_in_the_order_of_their_ranks(tmp_path):
    answer = Answered(candidates=(candidate(3), candidate(1), candidate(2)))
    assert [one.rank for one in outcome_of(giving(answer), tmp_path).candidates] == [1, 2, 3]


def test_more_candidates_than_asked_for_are_a_failure_and_none_is_kept(tmp_path):
    answer = Answered(candidates=tuple(candidate(number) for number in range(1, 5)))
    assert outcome_of(giving(answer), tmp_path) == Failed(kind=FailureKind.TOO_MANY_CANDIDATES)


@pytest.mark.parametrize("twice", [{"rank": 1}, {"reference": "R-1"}])
def test_two_candidates_with_one_rank_or_reference_are_malformed(tmp_path, twice):
    answer = Answered(candidates=(candidate(1), candidate(2, **twice)))
    assert outcome_of(giving(answer), tmp_path) == Failed(kind=FailureKind.MALFORMED_REPLY)


@pytest.mark.parametrize(
    "error",
    [ValueError("R-0137"), RecursionError(), MemoryError(), SystemExit(3), ExceptionGroup("x", [ValueError()]),
     asyncio.CancelledError(), StopAsyncIteration(), AssertionError()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("call", ["search", "poll"])
def test_whatever_an_adapter_raises_is_an_adapter_error(tmp_path, error, call):
    assert outcome_of(raising(error), tmp_path, call=call) == ADAPTER_ERROR


def test_what_an_adapter_wrote_into_its_exception_is_not_logged(tmp_path):
    with capture_logs() as logs:
        outcome_of(raising(ValueError("record R-0137 of the partner")), tmp_path)
    assert [log["event"] for log in logs] == ["partner.adapter_raised"]
    assert "R-0137" not in str(logs)
    assert "exc_info" not in logs[0]
    assert "test_dispatch.py" in str(logs[0]["frames"])


@pytest.mark.parametrize(
    "thing",
    [None, {}, [], "NoHit", NoHit, 0, object(), StillPending(), {"candidates": []}, type("Sub", (NoHit,), {})()],
    ids=lambda thing: type(thing).__name__,
)
def test_what_is_no_outcome_of_a_search_is_an_adapter_error(tmp_path, thing):
    assert outcome_of(giving(thing), tmp_path) == ADAPTER_ERROR


def test_a_submission_is_no_outcome_of_a_poll(tmp_path):
    assert outcome_of(giving(Submitted(task_id="t")), tmp_path, call="poll") == ADAPTER_ERROR
    assert outcome_of(giving(Submitted(task_id="t")), tmp_path) == Submitted(task_id="t")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "0.9", True, None])
def test_a_value_built_past_its_own_checks_is_checked_again(tmp_path, score):
    forged = ReportedCandidate.model_construct(reference="R-1", rank=1, score=score, handling=None, facts={})
    assert outcome_of(giving(Answered.model_construct(candidates=(forged,))), tmp_path) == ADAPTER_ERROR


@pytest.mark.parametrize("reference", ["", "R\n1", "R\x00", "x" * 201, "R\u202e1", "R\ud800"])
def test_a_reference_that_cannot_be_shown_is_refused(tmp_path, reference):
    forged = ReportedCandidate.model_construct(reference=reference, rank=1, score=0.5, handling=None, facts={})
    assert outcome_of(giving(Answered(candidates=()).model_copy(update={"candidates": (forged,)})), tmp_path) == (
        ADAPTER_ERROR
    )


@pytest.mark.parametrize("fault", WireFault)
def test_every_fault_of_the_wire_has_an_outcome(tmp_path, fault):
    outcome = outcome_of(raising(WireFailure(fault)), tmp_path)
    expected = TimedOut() if fault is WireFault.TIMED_OUT else Failed(kind=FailureKind(fault.value))
    assert outcome == expected


def test_an_adapter_that_hangs_is_timed_out(tmp_path):
    async def hang(_wire):
        await asyncio.sleep(3600)

    begun = time.monotonic()
    assert outcome_of(hang, tmp_path, seconds=0.2) == TimedOut()
    assert time.monotonic() - begun < 5


def test_an_adapter_that_swallows_its_cancellation_is_left_behind(tmp_path):
    async def stubborn(_wire):
        for _turn in range(15):
            try:
                await asyncio.sleep(0.3)
            except asyncio.CancelledError:
                continue
        return NoHit()

    async def timed():
        begun = time.monotonic()
        dispatched = await dispatch(Scripted(stubborn), tmp_path, seconds=0.1)
        return dispatched.outcome, time.monotonic() - begun

    outcome, took = asyncio.run(timed())
    assert outcome == TimedOut()
    assert took < 4


def test_an_adapter_that_calls_in_a_loop_spends_its_budget(tmp_path):
    async def loop(wire):
        while True:
            await wire.send("GET", "/v1/x")

    async def trial():
        async with served(reply_with(b"[]")) as partner:
            return await dispatch(Scripted(loop), tmp_path, url=partner.url)

    dispatched = asyncio.run(trial())
    assert dispatched.outcome == Failed(kind=FailureKind.BUDGET_SPENT)
    assert (dispatched.calls, dispatched.retries) == (30, 0)


def test_the_callers_cancellation_reaches_the_caller_and_the_adapter(tmp_path):
    ended = []

    async def hang(_wire):
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    async def trial():
        task = asyncio.create_task(dispatch(Scripted(hang), tmp_path))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    asyncio.run(trial())
    assert ended == [True]


def test_what_the_hook_raises_is_the_callers_even_if_the_adapter_swallows_it(tmp_path):
    class Ended(Exception):
        pass

    async def refuse(_number):
        raise Ended

    async def swallow(wire):
        try:
            await wire.send("GET", "/v1/x")
        except Ended:
            return NoHit()

    async def let_through(wire):
        await wire.send("GET", "/v1/x")

    async def trial(asking):
        async with served(reply_with(b"[]")) as partner:
            with pytest.raises(Ended):
                await dispatch(Scripted(asking), tmp_path, url=partner.url, on_sent=refuse)
            return partner.connections

    with capture_logs() as logs:
        assert [asyncio.run(trial(asking)) for asking in (swallow, let_through)] == [0, 0]
    assert logs == []  # Nothing is the adapter's fault.


def test_calls_and_retries_are_counted_apart(tmp_path):
    told = []

    async def on_sent(number):
        told.append(number)

    async def trial():
        async with served(reply_with(b"{}", status="503 Busy")) as partner:
            return await dispatch(CbpAdapter(), tmp_path, url=partner.url, on_sent=on_sent, attempts=3), partner

    dispatched, partner = asyncio.run(trial())
    assert dispatched.outcome == Failed(kind=FailureKind.PARTNER_ERROR)
    assert (dispatched.calls, dispatched.retries, told) == (3, 2, [1, 2, 3])
    assert len(set(partner.requests)) == 1


@pytest.mark.parametrize("name", ["slow drip", "never ends", "gzip bomb", "two owners under one key"])
def test_hostile_partners_through_a_shipped_adapter(tmp_path, name):
    reply, expected = HOSTILE[name]
    seconds = 0.4 if isinstance(expected, TimedOut) else 8.0

    async def trial():
        async with served(reply) as partner:
            return await dispatch(CbpAdapter(), tmp_path, url=partner.url, attempts=1, call_seconds=seconds)

    assert asyncio.run(trial()).outcome == expected


def test_a_callback_that_is_too_large_is_not_even_read(tmp_path):
    def never(_body):
        raise AssertionError

    outcome = asyncio.run(dispatch(Scripted(never), tmp_path, call="callback", reply_bytes=1))
    assert outcome == Failed(kind=FailureKind.TOO_LARGE)


def test_a_callback_whose_reading_raises_is_an_adapter_error(tmp_path):
    def broken(_body):
        raise ValueError

    assert asyncio.run(dispatch(Scripted(broken), tmp_path, call="callback")) == ADAPTER_ERROR
    assert (
        asyncio.run(dispatch(Scripted(lambda _body: Submitted(task_id="t")), tmp_path, call="callback"))
        == ADAPTER_ERROR
    )


def test_an_unknown_partner_is_the_callers_mistake(tmp_path):
    async def trial():
        async with Transport() as transport:
            with pytest.raises(KeyError):
                await Dispatcher(Registry([], {}, tmp_path), transport).search("p", ORDER, deadline_seconds=1)

    asyncio.run(trial())


def test_a_partner_that_does_not_know_us_refuses(tmp_path, cbp_url):
    (tmp_path / "keys").mkdir(mode=0o700)
    key = tmp_path / "keys" / "partner-p.key"
    key.touch(0o600)
    key.write_bytes(b"another secret")
    outcome = asyncio.run(dispatch(CbpAdapter(), tmp_path, url=cbp_url)).outcome
    assert isinstance(outcome, Refused)


def test_both_shipped_adapters_answer_through_dispatch(tmp_path, cbp_url, dos_url):
    async def trial():
        first = await dispatch(CbpAdapter(), tmp_path, url=cbp_url)
        submitted = await dispatch(DosAdapter(), tmp_path, url=dos_url)
        return first, submitted

    first, submitted = asyncio.run(trial())
    assert isinstance(first.outcome, Answered)
    assert len(first.outcome.candidates) == ORDER.max_candidates
    assert submitted.outcome == Refused(code=Refusal.UNKNOWN_GALLERY)
