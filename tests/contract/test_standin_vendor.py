"""The invented vendor: its key, its pages, its quota and its webhook, and what the adapter makes of them."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from adapters.faces.samples import hit_probe, stranger_probe
from adapters.vendor import mapping
from adapters.vendor.adapter import VendorAdapter
from adapters.vendor.standin import build
from broker.partners import callbacks
from broker.partners.callbacks import SIGNATURE_HEADER, Doubt, Unverified, Verified, api_key, verify
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    NoHit,
    ProbeImage,
    SearchOrder,
    StillPending,
    Submitted,
    WireReply,
)
from broker.partners.fakes import ScriptedWire
from tests.contract.conftest import SECRET
from tests.contract.serving import serving

KEY = {"X-Api-Key": api_key(SECRET)}
MALFORMED = Failed(kind=FailureKind.MALFORMED_REPLY)
ORDER = SearchOrder(
    transaction_id="trx_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    gallery="images",
    max_candidates=5,
    purpose="criminal_investigation",
    probe=ProbeImage.of(hit_probe(0)),
)


def calling(url, headers=KEY):
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=20)


def submit(client, probe=None, **changed):
    body = mapping.submit_body(ORDER.model_copy(update={"probe": ProbeImage.of(probe or hit_probe(0))}))
    return client.post("/v2/galleries/images/searches", json={**body, **changed})


def finished(client, search):
    ends = time.monotonic() + 20
    while client.get(f"/v2/searches/{search}").json()["state"] != "done":
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_results_come_in_pages_that_together_are_the_ranked_list(vendor_url):
    with calling(vendor_url) as client:
        search = submit(client).json()["search"]
        finished(client, search)
        pages, cursor = [], None
        while True:
            page = client.get(f"/v2/searches/{search}/results", params={} if cursor is None else {"cursor": cursor})
            pages.append(page.json())
            cursor = pages[-1]["next"]
            if cursor is None:
                break
    assert len(pages) >= 2
    assert all(len(page["results"]) <= 2 for page in pages)
    results = [one for page in pages for one in page["results"]]
    assert [one["position"] for one in results] == list(range(1, len(results) + 1))
    assert {one["source"] for one in results} == {"VENDOR-EX"}


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "x"}, {"Authorization": f"Bearer {api_key(SECRET)}"}])
def test_only_the_key_in_its_header_lets_anybody_in(settings, headers):
    with serving(build(settings)) as url, calling(url, headers) as client:
        assert submit(client).status_code == 403
        assert client.get("/standin/log").json()["searches"] == 0


def test_a_repeated_reference_is_one_search_and_another_one_under_it_is_refused(settings):
    with serving(build(settings)) as url, calling(url) as client:
        assert submit(client).json()["search"] == submit(client).json()["search"]
        assert submit(client, limit=6).status_code == 400
        assert client.get("/standin/log").json()["searches"] == 1


def test_beyond_the_quota_it_says_when_to_come_back(settings):
    with serving(build({**settings, "PARTNER_QUOTA": "2"})) as url, calling(url) as client:
        assert [submit(client).status_code for _ in range(3)] == [202, 202, 429]
        refused = submit(client)
        assert 1 <= int(refused.headers["Retry-After"]) <= 10
        assert refused.json() == {"error": "the quota is used up"}


def test_a_poll_that_the_quota_stops_is_not_the_end_of_the_search():
    wire = ScriptedWire([WireReply(429, {"error": "quota"})])
    outcome = asyncio.run(VendorAdapter().poll(ORDER, "task-1", wire))
    assert isinstance(outcome, StillPending)
    assert outcome.poll_after_seconds >= 1


def about(**members):
    return {"search": "s", "reference": ORDER.transaction_id, "state": "done", **members}


def result(number, **changed):
    return {
        "image_id": f"L-{number}",
        "position": number,
        "confidence": 90.5 - number,
        "source": "VENDOR-EX",
        "drawn_on": "2020-01-01",
        **changed,
    }


def polled(*bodies, **order):
    wire = ScriptedWire([WireReply(200, about()), *(WireReply(200, body) for body in bodies)])
    asked = ORDER.model_copy(update=order)
    return asyncio.run(VendorAdapter().poll(asked, "s", wire)), wire


def test_every_page_is_read_and_the_whole_is_the_answer():
    outcome, wire = polled(about(results=[result(1), result(2)], next="p2"), about(results=[result(3)], next=None))
    assert [one.reference for one in outcome.candidates] == ["L-1", "L-2", "L-3"]
    assert [call.query for call in wire.sent] == [{}, {}, {"cursor": "p2"}]
    assert polled(about(results=[], next=None))[0] == NoHit()


@pytest.mark.parametrize(
    "bodies",
    [
        [about(results=[result(1)], next="p1"), about(results=[result(2)], next="p1")],
        [about(results=[], next="p1")],
        [about(results=[result(1)], next="p1"), about(results=[], next="p2"), about(results=[], next=None)],
        [about(results=[result(1)])],
        [about(results=[result(1)], next="")],
        [about(results=[result(1)], next=7)],
        [about(results=[result(1)], next="x" * 300)],
        [{**about(results=[result(1)], next=None), "reference": "trx_other"}],
        [about(results=[result(1)], next="p1"), {**about(results=[result(2)], next=None), "reference": "trx_other"}],
        [about(results=[result(1, confidence="90")], next=None)],
        [about(results=[result(1, image_id=None)], next=None)],
        [about(results=[None], next=None)],
        [about(results={}, next=None)],
    ],
)
def test_pages_that_do_not_make_one_list_make_none(bodies):
    assert polled(*bodies)[0] == MALFORMED


def test_pages_without_end_stop_at_the_cap():
    pages = [about(results=[result(number)], next=f"p{number}") for number in range(1, 30)]
    outcome, wire = polled(*pages)
    assert outcome == Failed(kind=FailureKind.TOO_MANY_CANDIDATES)
    assert len(wire.sent) == 1 + ORDER.max_candidates + 1


def test_a_page_that_fails_fails_the_answer():
    wire = ScriptedWire([WireReply(200, about()), WireReply(200, about(results=[result(1)], next="p1"))])
    with pytest.raises(Exception, match="unreachable"):
        asyncio.run(VendorAdapter().poll(ORDER, "s", wire))


class _Receiver:
    """The broker's side of the webhook, which keeps what came."""

    def __init__(self):
        self.app = FastAPI()
        self.taken = []

        @self.app.post("/v1/callbacks/vendor-lpr")
        async def take(request: Request) -> Response:
            target = f"{request.url.path}?{request.url.query}"
            taken = (request.headers[SIGNATURE_HEADER], target, await request.body(), dict(request.query_params))
            self.taken.append(taken)
            return Response(status_code=204)


@pytest.fixture(scope="module")
def webhook(settings):
    """One webhook of a search whose results fit on its page, as it came."""
    receiver = _Receiver()
    with serving(receiver.app) as there:
        given = {**settings, "PARTNER_CALLBACK_URL": f"{there}/v1/callbacks/vendor-lpr", "PARTNER_PAGE": "50"}
        with serving(build(given)) as url, calling(url) as client:
            submit(client)
            ends = time.monotonic() + 20
            while not receiver.taken:
                assert time.monotonic() < ends
                time.sleep(0.05)
    (taken,) = receiver.taken
    return taken


def checked(webhook, now):
    header, target, body, _query = webhook
    return verify(SECRET, header, method="POST", target=target, body=body, now=now)


def test_the_webhook_is_signed_with_its_time_and_holds_the_answer(webhook):
    assert isinstance(checked(webhook, datetime.now(UTC)), Verified)
    outcome = VendorAdapter().callback(ORDER, webhook[2], webhook[3])
    assert isinstance(outcome, Answered)
    assert len(outcome.candidates) >= 3


def test_a_webhook_replayed_later_is_stale(webhook):
    later = datetime.now(UTC) + timedelta(minutes=6)
    assert checked(webhook, later) == Unverified(Doubt.STALE)


def test_traitor_without_the_time_check_takes_a_webhook_for_ever(webhook, monkeypatch):
    monkeypatch.setattr(callbacks, "WINDOW_SECONDS", 10**12)
    assert isinstance(checked(webhook, datetime.now(UTC) + timedelta(days=365)), Verified)


def test_a_webhook_is_about_its_own_order_and_task_only(webhook):
    body, query = webhook[2], webhook[3]
    other = ORDER.model_copy(update={"transaction_id": "trx_bbbbbbbbbbbbbbbbbbbbbbbbbb"})
    assert VendorAdapter().callback(other, body, query) == MALFORMED
    assert VendorAdapter().callback(ORDER, body, {**query, "taskId": "another"}) == MALFORMED
    renamed = {**query, "transactionId": other.transaction_id}
    assert VendorAdapter().callback(other, body, renamed) == MALFORMED


def test_a_webhook_with_more_pages_is_no_news(settings, webhook):
    body = webhook[2].replace(b'"next": null', b'"next": "p9"')
    assert isinstance(VendorAdapter().callback(ORDER, body, webhook[3]), StillPending)


def test_a_stranger_gives_no_hit(vendor_url):
    async def trial():
        from broker.transport import Budget, Transport

        held = Budget(total_seconds=20, call_seconds=10, reply_bytes=1_000_000, retries=0)
        asked = ORDER.model_copy(
            update={"transaction_id": "trx_ssssssssssssssssssssssssss", "probe": ProbeImage.of(stranger_probe(0))}
        )
        async with Transport() as transport:
            wire = transport.wire(vendor_url, held, bearer=api_key(SECRET), key_header="X-Api-Key")
            submitted = await VendorAdapter().search(asked, wire)
            assert isinstance(submitted, Submitted)
            while isinstance(outcome := await VendorAdapter().poll(asked, submitted.task_id, wire), StillPending):
                await asyncio.sleep(0.1)
            return outcome

    assert asyncio.run(trial()) == NoHit()
