"""The wire against partners that misbehave, served for real on loopback."""

import asyncio
import json
import time

import pytest

from broker.kernel.wire import Octets, WireFailure, WireFault
from broker.partners.contract import Failed, TimedOut
from broker.partners.hostile import HOSTILE, redirect_to, reply_with, served
from broker.transport import MAX_CALLS, Budget, Transport


def budget(**changed):
    limits = {"total_seconds": 10.0, "call_seconds": 8.0, "reply_bytes": 1_000_000, "retries": 0, "first_wait": 0.01}
    return Budget(**{**limits, **changed})


async def ask(reply, *, method="POST", idempotent=False, base="", path="/v1/x", held=None, **request):
    held = held if held is not None else budget()
    async with served(reply) as partner, Transport() as transport:
        wire = transport.wire(partner.url + base, held, bearer="key")
        try:
            return await wire.send(method, path, idempotent=idempotent, **request), partner
        except WireFailure as failure:
            return failure.fault, partner


def in_turn(*replies):
    """A partner that answers the first call with the first reply, and so on; then with the last one."""
    left = list(replies)

    async def reply(writer):
        await (left.pop(0) if len(left) > 1 else left[0])(writer)

    return reply


@pytest.mark.parametrize("name", HOSTILE)
def test_every_hostile_reply_is_a_typed_failure_in_time(name):
    reply, expected = HOSTILE[name]
    begun = time.monotonic()
    never_ends = isinstance(expected, TimedOut)
    fault, _partner = asyncio.run(ask(reply, held=budget(call_seconds=0.5 if never_ends else 8.0)))
    assert isinstance(fault, WireFault)
    if never_ends:
        assert fault is WireFault.TIMED_OUT
    else:
        assert isinstance(expected, Failed)
        assert fault.value == expected.kind.value
    assert time.monotonic() - begun < 5


def test_the_control_is_answered():
    reply, partner = asyncio.run(
        ask(reply_with(b'{"a": [1]}'), query={"transactionId": "trx_1", "name": "a b&c"}, json={"b": 2})
    )
    assert (reply.status, reply.json) == (200, {"a": [1]})
    (request,) = partner.requests
    assert request.startswith(b"POST /v1/x?transactionId=trx_1&name=a+b%26c HTTP/1.1\r\n")
    assert b"authorization: bearer key" in request.lower()
    assert b"accept-encoding: identity" in request.lower()
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {"b": 2}


def test_a_traitor_that_reads_like_httpx_takes_what_the_wire_refuses():
    """Shows that the hostile partners do harm where nobody looks: stock httpx and json take the last of two owners."""
    import httpx

    async def stock():
        async with served(HOSTILE["two owners under one key"][0]) as partner, httpx.AsyncClient() as client:
            return (await client.get(partner.url)).json()

    assert asyncio.run(stock())[0]["others"]["handling"]["owner"] == "B"


def test_a_traitor_with_httpx_timeouts_only_is_held_up_by_a_drip():
    import httpx

    async def stock():
        async with served(HOSTILE["slow drip"][0]) as partner, httpx.AsyncClient(timeout=0.3) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await client.get(partner.url)

    asyncio.run(stock())


def test_a_redirect_is_not_followed():
    async def trial():
        async with served(reply_with(b"[]")) as elsewhere:
            fault, _partner = await ask(redirect_to(elsewhere.url))
            return fault, elsewhere.connections

    assert asyncio.run(trial()) == (WireFault.REDIRECTED, 0)


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    async def trial():
        async with served(reply_with(b"[]")) as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            reply, partner = await ask(reply_with(b"[1]"))
            return reply.json, partner.connections, proxy.connections

    assert asyncio.run(trial()) == ([1], 1, 0)


def test_cookies_are_not_kept():
    async def trial():
        setting = reply_with(b"[]", extra="Set-Cookie: who=me; Path=/\r\n")
        async with served(setting) as partner, Transport() as transport:
            wire = transport.wire(partner.url, budget())
            await wire.send("GET", "/v1/x")
            await wire.send("GET", "/v1/x")
            return partner.requests

    requests = asyncio.run(trial())
    assert len(requests) == 2
    assert not any(b"cookie" in request.lower() for request in requests)


def test_an_idempotent_call_is_repeated_with_the_same_bytes():
    told = []

    async def on_sent(number):
        told.append(number)

    held = budget(retries=2, on_sent=on_sent)
    broken, fine = reply_with(b"", status="503 Service Unavailable"), reply_with(b"[]")
    reply, partner = asyncio.run(ask(in_turn(broken, broken, fine), idempotent=True, json={"a": 1}, held=held))
    assert reply.json == []
    assert len(partner.requests) == 3
    assert len(set(partner.requests)) == 1
    assert (held.calls, held.repeated, told) == (3, 2, [1, 2, 3])


@pytest.mark.parametrize("name", ["hangs up", "silence", "cut short"])
def test_passing_faults_are_repeated_too(name):
    held = budget(retries=1, call_seconds=1.0)
    reply, _partner = asyncio.run(ask(in_turn(HOSTILE[name][0], reply_with(b"[]")), idempotent=True, held=held))
    assert reply.json == []
    assert held.repeated == 1


@pytest.mark.parametrize("name", ["NaN", "redirect", "gzip bomb", "announces too much", "a page"])
def test_what_would_come_again_is_not_asked_for_again(name):
    held = budget(retries=5)
    fault, partner = asyncio.run(ask(HOSTILE[name][0], idempotent=True, held=held))
    assert isinstance(fault, WireFault)
    assert partner.connections == held.calls == 1


def test_a_call_that_is_not_idempotent_is_made_once():
    held = budget(retries=5)
    reply, partner = asyncio.run(ask(reply_with(b"", status="503 Service Unavailable"), held=held))
    assert reply.status == 503
    assert partner.connections == held.calls == 1


def test_out_of_retries_the_last_reply_is_the_answer():
    held = budget(retries=2)
    reply, partner = asyncio.run(ask(reply_with(b"{}", status="500 Broken"), idempotent=True, held=held))
    assert reply.status == 500
    assert partner.connections == 3


def test_no_repeat_begins_that_would_come_too_late():
    held = budget(retries=50, total_seconds=0.6, first_wait=0.2)
    begun = time.monotonic()
    reply, _partner = asyncio.run(ask(reply_with(b"", status="503 Busy"), idempotent=True, held=held))
    assert reply.status == 503
    assert time.monotonic() - begun < 5


def test_one_dispatch_makes_only_so_many_calls():
    async def trial():
        async with served(reply_with(b"[]")) as partner, Transport() as transport:
            wire = transport.wire(partner.url, budget())
            for _call in range(MAX_CALLS):
                await wire.send("GET", "/v1/x")
            with pytest.raises(WireFailure) as caught:
                await wire.send("GET", "/v1/x")
            return caught.value.fault, partner.connections

    assert asyncio.run(trial()) == (WireFault.BUDGET_SPENT, MAX_CALLS)


@pytest.mark.parametrize("status", ["400 No", "403 No", "404 No", "418 No", "502 No"])
def test_an_errors_body_may_be_anything_its_status_is_what_counts(status):
    for body, content_type in ((b"<p>no</p>", "text/html"), (b"{", "application/json"), (b"", "text/plain")):
        reply, _partner = asyncio.run(ask(reply_with(body, status=status, content_type=content_type)))
        assert (reply.status, reply.json) == (int(status[:3]), None)


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", "application/problem+json"]
)
def test_types_that_are_json(content_type):
    reply, _partner = asyncio.run(ask(reply_with(b"[]", content_type=content_type)))
    assert reply.json == []


def test_a_whole_reply_without_a_length_is_read():
    reply, _partner = asyncio.run(ask(reply_with(b'"COMPLETED"', framed=False)))
    assert reply.json == "COMPLETED"


def test_an_empty_body_is_none():
    reply, _partner = asyncio.run(ask(reply_with(b"", status="204 No Content")))
    assert (reply.status, reply.json) == (204, None)


OTHER = "application/octet-stream"


def asked_for_octets(reply, *, status="200 OK", content_type=OTHER, **request):
    return asyncio.run(ask(reply_with(reply, status=status, content_type=content_type), accept=OTHER, **request))


def test_a_body_of_another_type_goes_out_and_comes_back_as_it_is():
    reply, partner = asked_for_octets(b"\x1c\0\xff", body=Octets(b"\xff\x1d\0", OTHER))
    assert (reply.status, reply.json, reply.octets) == (200, None, b"\x1c\0\xff")
    (request,) = partner.requests
    assert request.endswith(b"\r\n\r\n\xff\x1d\0")
    assert b"content-type: application/octet-stream" in request.lower()
    assert b"accept: application/octet-stream" in request.lower()


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "application/octet-streams", ""])
def test_only_the_type_that_was_asked_for_is_taken(content_type):
    assert asked_for_octets(b"[]", content_type=content_type)[0] is WireFault.WRONG_CONTENT_TYPE
    reply, _partner = asked_for_octets(b"<p>", content_type=content_type, status="400 No")
    assert (reply.status, reply.octets) == (400, None)


def test_what_did_not_ask_for_octets_gets_none():
    assert asyncio.run(ask(reply_with(b"[]", content_type=OTHER)))[0] is WireFault.WRONG_CONTENT_TYPE


@pytest.mark.parametrize("name", ["slow drip", "never ends", "gzip bomb", "cut short", "announces too much"])
def test_limits_hold_for_octets_too(name):
    reply, expected = HOSTILE[name]
    fault, _partner = asyncio.run(ask(reply, accept=OTHER, held=budget(call_seconds=0.5 if name == "slow drip" else 8)))
    assert fault.value == ("timed_out" if isinstance(expected, TimedOut) else expected.kind.value)


def test_a_key_goes_into_the_header_that_the_register_names():
    async def trial():
        async with served(reply_with(b"[]")) as partner, Transport() as transport:
            await transport.wire(partner.url, budget(), bearer="key", key_header="X-Api-Key").send("GET", "/v1/x")
            return partner.requests[0].lower()

    request = asyncio.run(trial())
    assert b"x-api-key: key\r\n" in request
    assert b"authorization" not in request


@pytest.mark.parametrize(
    "path",
    ["", "v1", "//evil.example/x", "/a/../b", "/..", "/a/./b", "/a?b", "/a#b", "/a b", "/a\r\nHost: x", "http://evil.example/",
     "/\u00fc", "/a//b", "/a/", "/%zz", "/@evil.example:80/../"],
)  # fmt: skip
def test_a_path_cannot_leave_its_base(path):
    fault, partner = asyncio.run(ask(reply_with(b"[]"), path=path))
    assert fault is WireFault.BAD_ADDRESS
    assert partner.connections == 0


def test_a_base_with_a_path_is_kept():
    _reply, partner = asyncio.run(ask(reply_with(b"[]"), base="/abis/"))
    assert partner.requests[0].startswith(b"POST /abis/v1/x HTTP/1.1\r\n")


def test_nobody_listening_is_unreachable():
    async def trial():
        async with served(reply_with(b"[]")) as partner:
            url = partner.url
        async with Transport() as transport:
            with pytest.raises(WireFailure) as caught:
                await transport.wire(url, budget()).send("GET", "/v1/x")
            return caught.value.fault

    assert asyncio.run(trial()) is WireFault.UNREACHABLE


def test_what_the_hook_raises_stops_the_call_and_is_kept():
    class Refusal(Exception):
        pass

    async def refuse(_number):
        raise Refusal

    async def trial():
        held = budget(on_sent=refuse)
        async with served(reply_with(b"[]")) as partner, Transport() as transport:
            with pytest.raises(Refusal):
                await transport.wire(partner.url, held).send("GET", "/v1/x")
            return partner.connections, type(held.hook_error)

    assert asyncio.run(trial()) == (0, Refusal)
