"""The invented motor vehicle department: files in, files out, one search to a transaction number."""

import datetime as dt
import hashlib

import httpx
import pytest

from adapters.dmv import itl, mapping
from adapters.dmv.standin import build
from adapters.faces.samples import hit_probe, stranger_probe
from broker.partners.callbacks import api_key
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    NoHit,
    ProbeImage,
    Refusal,
    Refused,
    SearchOrder,
    WireReply,
)
from tests.contract.conftest import SECRET
from tests.contract.serving import serving

HEADERS = {"Authorization": f"Bearer {api_key(SECRET)}", "Content-Type": itl.MEDIA_TYPE}


@pytest.fixture
def dmv(settings):
    with serving(build(settings)) as url, httpx.Client(base_url=url, headers=HEADERS, trust_env=False) as client:
        yield client


def order(probe, number=1, **changed):
    return SearchOrder(
        transaction_id=f"trx_{number:026}",
        gallery="drivers",
        max_candidates=20,
        purpose="criminal_investigation",
        asked_on=dt.date(2026, 1, 31),
        probe=ProbeImage.of(probe),
    ).model_copy(update=changed)


def outcome(client, asked, content=None):
    reply = client.post("/transactions", content=content or mapping.search_file(asked).content)
    assert reply.headers["content-type"] == itl.MEDIA_TYPE
    return mapping.read_answer(WireReply(reply.status_code, None, reply.content), asked)


def test_a_hit_is_a_ranked_list_in_which_every_candidate_is_marked(dmv):
    found = outcome(dmv, order(hit_probe(0)))
    assert isinstance(found, Answered)
    assert [one.rank for one in found.candidates] == list(range(1, len(found.candidates) + 1))
    assert len(found.candidates) >= 3
    assert {one.handling.owner for one in found.candidates} == {"STATE-EX-DMV"}
    assert all(one.reference.startswith("D-") and 780 <= one.score <= 1000 for one in found.candidates)


def test_a_stranger_is_said_to_be_no_hit_and_the_cap_is_kept(dmv):
    assert outcome(dmv, order(stranger_probe(0))) == NoHit()
    assert len(outcome(dmv, order(hit_probe(0), 2, max_candidates=2)).candidates) == 2


def test_a_repeated_transaction_is_one_search_and_another_one_under_its_number_is_refused(dmv):
    answers = [outcome(dmv, order(hit_probe(0))) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert outcome(dmv, order(hit_probe(1))) == Refused(code=Refusal.OTHER)
    log = dmv.get("/standin/log").json()
    assert (log["searches"], log["calls"]) == (1, 4)
    assert log["transactions"][0]["probeSha256"] == hashlib.sha256(hit_probe(0)).hexdigest()


def test_refusals_are_transactions_of_their_own(dmv):
    assert outcome(dmv, order(hit_probe(0), gallery="boats")) == Refused(code=Refusal.UNKNOWN_GALLERY)
    assert outcome(dmv, order(b"\xff\xd8\xff no picture")) == Refused(code=Refusal.BAD_REQUEST)
    reply = dmv.post("/transactions", content=b"no file")
    assert (reply.status_code, itl.read(reply.content)[0].one(mapping.KIND)) == (400, "ERRT")


def test_a_picture_of_another_size_than_the_file_says_is_refused(dmv):
    asked = order(hit_probe(0))
    head, text, face = itl.read(mapping.search_file(asked).content)
    taller = itl.Record(face.type, {**face.fields, 7: itl.single("9999")}, face.image)
    assert outcome(dmv, asked, itl.write((head, text, taller))) == Refused(code=Refusal.BAD_REQUEST)


def test_an_unknown_caller_is_refused_before_anything_is_read(dmv):
    reply = dmv.post("/transactions", content=b"no file", headers={"Authorization": "Bearer x"})
    assert reply.status_code == 403
    assert dmv.get("/standin/log").json()["searches"] == 0


def test_an_answer_to_another_transaction_is_malformed(dmv):
    reply = dmv.post("/transactions", content=mapping.search_file(order(hit_probe(0))).content)
    answer = WireReply(200, None, reply.content)
    assert isinstance(mapping.read_answer(answer, order(hit_probe(0))), Answered)
    assert mapping.read_answer(answer, order(hit_probe(0), 2)) == Failed(kind=FailureKind.MALFORMED_REPLY)


def answer(**fields):
    text = {itl.IDENTIFIER: itl.single("00"), **{int(name[1:]): value for name, value in fields.items()}}
    head = {mapping.KIND: itl.single("SRB"), mapping.REFERENCE: itl.single(order(hit_probe(0)).transaction_id)}
    return WireReply(200, None, itl.write(itl.transaction(head, (itl.Record(itl.TEXT, text),))))


ROW = ("1", "D-1", "900", "STATE-EX-DMV", "lead_only", "")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n59": itl.single("I")},
        {"n59": itl.single("N"), "n2033": (ROW,)},
        {"n59": itl.single("X"), "n2033": (ROW,)},
        {"n2033": (ROW,)},
        {"n59": itl.single("I"), "n2033": (ROW[:5],)},
        {"n59": itl.single("I"), "n2033": ((*ROW, "more"),)},
        {"n59": itl.single("I"), "n2033": (("-1", *ROW[1:]),)},
        {"n59": itl.single("I"), "n2033": (("1", "", *ROW[2:]),)},
        {"n59": itl.single("I"), "n2033": (("1", "D-1", "NaN", *ROW[3:]),)},
        {"n59": itl.single("I"), "n2033": (("1", "D-1", "1e3", *ROW[3:]),)},
        {"n59": itl.single("I"), "n2033": (("1", "D-1", "9" * 400, *ROW[3:]),)},
        {"n59": itl.single("I"), "n2033": ((*ROW[:4], "a  b", ""),)},
    ],
)
def test_half_an_answer_is_none(fields):
    assert mapping.read_answer(answer(**fields), order(hit_probe(0))) == Failed(kind=FailureKind.MALFORMED_REPLY)


def test_the_control_is_an_answer():
    found = mapping.read_answer(answer(n59=itl.single("I"), n2033=(ROW,)), order(hit_probe(0)))
    assert [(one.reference, one.rank, one.score) for one in found.candidates] == [("D-1", 1, 900.0)]
    assert mapping.read_answer(answer(n59=itl.single("N")), order(hit_probe(0))) == NoHit()
