"""The invented partners: strict, idempotent on the transaction id, and real in what they compare."""

import asyncio
import base64
import hashlib
import time
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from PIL import Image

from adapters.cbp.standin import build as build_cbp
from adapters.dos.standin import build as build_dos
from adapters.faces.samples import hit_probe, stranger_probe
from adapters.openapi import outdated
from broker.partners.callbacks import SIGNATURE_HEADER, Verified, api_key, verify
from tests.contract.conftest import SECRET
from tests.contract.serving import serving

KEY = {"Authorization": f"Bearer {api_key(SECRET)}"}


def calling(url):
    return httpx.Client(base_url=url, headers=KEY, trust_env=False, timeout=20)


def body(probe):
    return {"filter": {}, "biometricData": [{"biometricType": "FACE", "image": base64.b64encode(probe).decode()}]}


@pytest.fixture
def cbp(settings):
    with serving(build_cbp(settings)) as url, calling(url) as client:
        yield client


def identify(client, probe, transaction="trx_1", gallery="travellers", **query):
    return client.post(
        f"/v1/identify/{gallery}", params={"transactionId": transaction, **query}, json=body(probe), timeout=20
    )


def finished(client, task_id, seconds=20.0):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        status = client.get(f"/v1/tasks/{task_id}/status").json()
        word = status if isinstance(status, str) else status["status"]
        if word in {"COMPLETED", "RESPONSE_ERROR"}:
            return status
        time.sleep(0.05)
    raise AssertionError("the task never ended")


def test_a_hit_is_ranked_and_every_candidate_is_marked(cbp):
    candidates = identify(cbp, hit_probe(0)).json()
    assert len(candidates) >= 3
    assert [one["rank"] for one in candidates] == list(range(1, len(candidates) + 1))
    scores = [one["score"] for one in candidates]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)
    assert {one["others"]["handling"]["owner"] for one in candidates} == {"CBP"}
    assert all(one["others"]["handling"]["sourceReference"] == one["personId"] for one in candidates)


def test_a_stranger_gives_no_hit_and_another_probe_another_list(cbp):
    assert identify(cbp, stranger_probe(0), "trx_s").json() == []
    first, second = identify(cbp, hit_probe(0), "trx_1").json(), identify(cbp, hit_probe(1), "trx_2").json()
    assert not {one["personId"] for one in first} & {one["personId"] for one in second}


def test_the_cap_is_kept(cbp):
    assert len(identify(cbp, hit_probe(0), maxNbCand=2).json()) == 2


def test_a_repeated_transaction_is_one_search_with_one_answer(cbp):
    answers = [identify(cbp, hit_probe(0)).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    log = cbp.get("/standin/log").json()
    assert (log["searches"], log["calls"]) == (1, 3)
    assert log["transactions"][0]["transactionId"] == "trx_1"
    assert log["transactions"][0]["probeSha256"] == hashlib.sha256(hit_probe(0)).hexdigest()


def test_a_transaction_used_again_for_something_else_is_refused(cbp):
    identify(cbp, hit_probe(0))
    reply = identify(cbp, hit_probe(1))
    assert reply.status_code == 400
    assert reply.json() == {"code": 400, "message": "this transactionId was used for another request"}


def test_the_log_says_whether_the_probe_carried_metadata(cbp):
    identify(cbp, hit_probe(0))
    assert cbp.get("/standin/log").json()["transactions"][0]["metadata"] == ["comment", "exif"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {api_key(SECRET)}"}])
def test_an_unknown_caller_is_refused(cbp, headers):
    cbp.headers.pop("Authorization")
    reply = cbp.post("/v1/identify/travellers", params={"transactionId": "t"}, json=body(hit_probe(0)), headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (403, 403)
    assert cbp.get("/standin/log").json()["searches"] == 0


def test_without_a_key_file_everybody_is_refused():
    with serving(build_cbp({})) as url, calling(url) as client:
        assert identify(client, hit_probe(0)).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"json": {"biometricData": body(b"x")["biometricData"]}},
        {"json": {**body(b"x"), "purpose": "criminal_investigation"}},
        {"json": {**body(b"x"), "biometricData": []}},
        {"json": {**body(b"x"), "biometricData": [{"biometricType": "FINGER", "image": "eA=="}]}},
        {"json": {**body(b"x"), "biometricData": [{"biometricType": "FACE", "image": 1}]}},
        {"json": body(b"not an image")},
        {"params": {}},
        {"params": [("transactionId", "a"), ("transactionId", "b")]},
        {"params": {"transactionId": "a", "owner": "CBP"}},
        {"params": {"transactionId": "a", "priority": "10"}},
        {"params": {"transactionId": "a", "maxNbCand": "0"}},
        {"content": b"{"},
    ],
)
def test_what_does_not_fit_the_interface_is_a_400_that_repeats_nothing(cbp, change):
    request = {"params": {"transactionId": "trx_1"}, "json": body(hit_probe(0)), **change}
    if "content" in request:
        del request["json"]
    reply = cbp.post("/v1/identify/travellers", **request)
    assert reply.status_code == 400
    assert reply.json().keys() == {"code", "message"}
    assert "biometricData" not in reply.text


def test_a_decompression_bomb_is_a_400(cbp):
    import io

    file = io.BytesIO()
    Image.new("L", (12_000, 12_000)).save(file, "PNG")
    assert identify(cbp, file.getvalue()).status_code == 400


def test_an_unknown_gallery_and_path_are_404_in_the_standards_form(cbp):
    assert identify(cbp, hit_probe(0), gallery="others").json() == {"code": 404, "message": "unknown gallery"}
    assert cbp.get("/nowhere").json()["code"] == 404


def test_a_standin_can_be_told_to_claim_another_owner(settings):
    app = build_cbp({**settings, "PARTNER_CLAIMED_OWNER": "FBI"})
    with serving(app) as url, calling(url) as client:
        assert {one["others"]["handling"]["owner"] for one in identify(client, hit_probe(0)).json()} == {"FBI"}


class _Receiver:
    """Where callbacks arrive; refuses the first *refusals* of them."""

    def __init__(self, refusals=0):
        self.refusals = refusals
        self.taken = []
        self.app = FastAPI()

        @self.app.post("/v1/callbacks/dos-ccd")
        async def take(request: Request) -> Response:
            body = await request.body()
            if self.refusals > 0:
                self.refusals -= 1
                return Response(status_code=503)
            seen = verify(
                SECRET,
                request.headers.get(SIGNATURE_HEADER),
                method="POST",
                target=f"{request.url.path}?{request.url.query}",
                body=body,
                now=datetime.now(UTC),
            )
            self.taken.append((seen, dict(request.query_params), await request.json()))
            return Response(status_code=204)


def _dos(settings, receiver_url=None, **more):
    url = {} if receiver_url is None else {"PARTNER_CALLBACK_URL": f"{receiver_url}/v1/callbacks/dos-ccd"}
    return build_dos({**settings, **url, **more})


def test_a_task_is_pending_and_then_holds_the_candidates(settings):
    app = _dos(settings, PARTNER_DELAY_SECONDS="0.4")
    with serving(app) as url, calling(url) as client:
        reply = identify(client, hit_probe(0), gallery="visas")
        assert reply.status_code == 202
        task = reply.json()["taskId"]
        assert client.get(f"/v1/tasks/{task}/status").json() == {"status": "PENDING"}
        assert client.post(f"/v1/tasks/{task}/redeliver").status_code == 409
        done = finished(client, task)
        assert {one["others"]["handling"]["owner"] for one in done["candidates"]} == {"DOS"}
        assert identify(client, hit_probe(0), gallery="visas").json()["taskId"] == task
        assert client.get("/v1/tasks/unknown/status").json() == {"code": 404, "message": "unknown task"}


def test_the_callback_is_signed_and_repeated_until_it_is_taken(settings):
    receiver = _Receiver(refusals=2)
    with (
        serving(receiver.app) as there,
        serving(_dos(settings, there)) as url,
        calling(url) as client,
    ):
        # The address in the request is somebody's idea; the registered one is used.
        reply = identify(client, hit_probe(0), gallery="visas", callback="http://127.0.0.1:9/elsewhere")
        task = reply.json()["taskId"]
        ends = time.monotonic() + 20
        while not receiver.taken and time.monotonic() < ends:
            time.sleep(0.05)
    ((seen, query, candidates),) = receiver.taken
    assert isinstance(seen, Verified)
    assert query == {"transactionId": "trx_1", "taskId": task}
    assert len(candidates) >= 3


def test_to_the_letter_of_the_standard_the_status_is_a_word_and_candidates_come_by_callback_only(settings):
    receiver = _Receiver()
    app_settings = {"PARTNER_ANSWER_BY": "callback"}
    with (
        serving(receiver.app) as there,
        serving(_dos(settings, there, **app_settings)) as url,
        calling(url) as client,
    ):
        task = identify(client, hit_probe(0), gallery="visas").json()["taskId"]
        assert finished(client, task) == "COMPLETED"
        assert len(receiver.taken) == 1
        assert client.post(f"/v1/tasks/{task}/redeliver").status_code == 204
        assert finished(client, task) == "COMPLETED"
    assert len(receiver.taken) == 2
    assert receiver.taken[0][2] == receiver.taken[1][2]


def test_a_callback_that_nobody_takes_ends_as_a_response_error(settings):
    receiver = _Receiver(refusals=100)
    with (
        serving(receiver.app) as there,
        serving(_dos(settings, there, PARTNER_ANSWER_BY="callback")) as url,
        calling(url) as client,
    ):
        task = identify(client, hit_probe(0), gallery="visas").json()["taskId"]
        assert finished(client, task) == "RESPONSE_ERROR"
    assert receiver.taken == []


def test_the_exported_interfaces_are_current():
    assert outdated() == [], "run: python -m adapters.openapi"


def test_a_search_in_both_galleries_finds_the_same_people_under_other_references(settings):
    async def both():
        names = []
        for app, gallery in ((build_cbp(settings), "travellers"), (_dos(settings), "visas")):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://standin", headers=KEY) as client:
                reply = await client.post(
                    f"/v1/identify/{gallery}", params={"transactionId": "trx_b"}, json=body(hit_probe(2))
                )
                found = reply.json()
                if reply.status_code == 202:
                    await asyncio.sleep(1)
                    found = (await client.get(f"/v1/tasks/{found['taskId']}/status")).json()["candidates"]
                names.append([one["personId"] for one in found])
        return names

    travellers, visas = asyncio.run(both())
    assert len(travellers) == len(visas) >= 3
    assert not set(travellers) & set(visas)
