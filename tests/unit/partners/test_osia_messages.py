"""The adapters' reading of OSIA, on replies as plain implementations send them and as broken ones do."""

import asyncio
import base64

import pytest

from adapters.cbp.adapter import CbpAdapter
from adapters.dos.adapter import DosAdapter
from adapters.osia.messages import identify_body, read_candidates, read_identify
from adapters.osia.tasks import read_callback
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    Handling,
    NoHit,
    OrderTerms,
    ProbeImage,
    RedeliveryAsked,
    Refusal,
    Refused,
    SearchOrder,
    StillPending,
    Submitted,
    WireReply,
)
from broker.partners.fakes import ScriptedWire

PROBE = b"\xff\xd8\xff\xe0 drawn"
ORDER = SearchOrder(
    transaction_id="trx_aaaaaaaa", gallery="a gallery/1", max_candidates=7, purpose="p", probe=ProbeImage.of(PROBE)
)
TERMS = OrderTerms(**ORDER.model_dump(exclude={"probe", "callback_url"}))
MALFORMED = Failed(kind=FailureKind.MALFORMED_REPLY)
PLAIN = {"personId": "P1", "rank": 1, "score": 3500}
ADAPTERS = pytest.mark.parametrize("adapter", [CbpAdapter(), DosAdapter()], ids=["cbp", "dos"])


def search(adapter, *replies, order=ORDER):
    wire = ScriptedWire(replies)
    return asyncio.run(adapter.search(order, wire)), wire.sent


def poll(adapter, *replies):
    wire = ScriptedWire(replies)
    return asyncio.run(adapter.poll(TERMS, "task/1", wire)), wire.sent


@ADAPTERS
def test_the_empty_list_is_no_hit(adapter):
    assert search(adapter, WireReply(200, []))[0] == NoHit()


@ADAPTERS
def test_the_call_is_the_standards(adapter):
    _outcome, (call,) = search(adapter, WireReply(200, []))
    assert (call.method, call.path, call.idempotent) == ("POST", "/v1/identify/a%20gallery%2F1", True)
    assert call.query == {"transactionId": "trx_aaaaaaaa", "maxNbCand": "7"}
    assert call.json.keys() == {"filter", "biometricData"}
    (face,) = call.json["biometricData"]
    assert face["biometricType"] == "FACE"
    assert base64.b64decode(face["image"]) == PROBE


def test_no_purpose_goes_on_the_wire():
    order = ORDER.model_copy(update={"purpose": "threat_to_life"})
    _outcome, (call,) = search(DosAdapter(), WireReply(200, []), order=order)
    assert "threat_to_life" not in str(call)
    assert identify_body(order) == identify_body(ORDER)


def test_only_the_partner_that_answers_later_is_told_where_to():
    order = ORDER.model_copy(update={"callback_url": "https://broker.example/v1/callbacks/dos-ccd"})
    assert search(DosAdapter(), WireReply(200, []), order=order)[1][0].query["callback"] == order.callback_url
    assert "callback" not in search(CbpAdapter(), WireReply(200, []), order=order)[1][0].query


@ADAPTERS
def test_each_adapter_takes_an_answer_at_once_and_one_for_later(adapter):
    outcome, _sent = search(adapter, WireReply(200, [PLAIN]))
    assert [one.reference for one in outcome.candidates] == ["P1"]
    outcome, _sent = search(adapter, WireReply(202, {"taskId": "t-1", "others": {"eta": 5}}))
    assert isinstance(outcome, Submitted)
    assert outcome.task_id == "t-1"


@pytest.mark.parametrize(
    "task", [None, {}, {"taskId": 1}, {"taskId": ""}, {"taskId": "a\nb"}, {"taskId": "x" * 300}, "t-1"], ids=str
)
def test_a_task_that_cannot_be_named_is_malformed(task):
    assert read_identify(WireReply(202, task)) == MALFORMED


def test_marks_and_facts_are_read_and_the_rest_is_dropped():
    outcome = read_candidates(
        [
            {
                **PLAIN,
                "scores": [{"score": 1, "encounterId": "e"}],
                "surprise": {"owner": "FBI"},
                "others": {
                    "handling": {
                        "owner": "DOS",
                        "custodian": "DOS",
                        "caveats": ["lead_only"],
                        "sourceReference": "V-1",
                        "more": 1,
                    },
                    "sheet": 3,
                    "drawn": True,
                    "ink": "teal",
                    "nothing": None,
                    "nested": {"owner": "FBI"},
                    "list": [1],
                    "bell": "a\x07",
                    "": "no name",
                },
            }
        ]
    )
    (candidate,) = outcome.candidates
    assert candidate.handling == Handling(owner="DOS", custodian="DOS", caveats=("lead_only",), source_reference="V-1")
    assert candidate.facts == {"sheet": 3, "drawn": True, "ink": "teal", "nothing": None}
    assert candidate.score == 3500.0


@pytest.mark.parametrize(
    "others", [{}, {"others": None}, {"others": {}}, {"others": {"handling": None}}, {"others": {"a": 1}}], ids=str
)
def test_marks_may_be_absent(others):
    (candidate,) = read_candidates([{**PLAIN, **others}]).candidates
    assert candidate.handling is None


@pytest.mark.parametrize(
    "handling",
    ["DOS", ["DOS"], 1, {"owner": 1}, {"owner": ""}, {"owner": ["DOS"]}, {"owner": "DOS\n"}, {"owner": "D\u202eSO"},
     {"caveats": "lead_only"}, {"caveats": [1]}, {"caveats": [""]}, {"caveats": {"a": 1}}, {"caveats": ["a"] * 51}],
    ids=str,
)  # fmt: skip
def test_a_mark_that_cannot_be_read_spoils_the_answer(handling):
    """Dropping it would drop a restriction, or hide that another owner is claimed."""
    assert (
        read_candidates([PLAIN | {"personId": "P0", "rank": 0}, {**PLAIN, "others": {"handling": handling}}])
        == MALFORMED
    )


@pytest.mark.parametrize(
    "change",
    [{"personId": 1}, {"personId": None}, {"personId": ""}, {"personId": "a\x00"}, {"rank": "1"}, {"rank": 1.0}, {"rank": True},
     {"rank": -1}, {"rank": None}, {"score": "1"}, {"score": True}, {"score": None}, {"others": []}, {"others": "x"},
     {"scores": 1}, {"scores": [1]}],
    ids=str,
)  # fmt: skip
def test_wrong_types_spoil_the_answer(change):
    assert read_candidates([{**PLAIN, **change}]) == MALFORMED


@pytest.mark.parametrize("missing", ["personId", "rank", "score"])
def test_what_the_standard_requires_is_required(missing):
    assert read_candidates([{name: value for name, value in PLAIN.items() if name != missing}]) == MALFORMED


@pytest.mark.parametrize("body", [None, {}, {"candidates": []}, "x", [[]], [None], ["P1"]], ids=str)
def test_what_is_no_list_of_candidates_is_never_a_no_hit(body):
    assert read_candidates(body) == MALFORMED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Refused(code=Refusal.BAD_REQUEST)),
        (401, Refused(code=Refusal.NOT_AUTHORISED)),
        (403, Refused(code=Refusal.NOT_AUTHORISED)),
        (404, Refused(code=Refusal.UNKNOWN_GALLERY)),
        (409, Refused(code=Refusal.OTHER)),
        (429, Failed(kind=FailureKind.PARTNER_ERROR)),
        (500, Failed(kind=FailureKind.PARTNER_ERROR)),
        (503, Failed(kind=FailureKind.PARTNER_ERROR)),
        (201, Failed(kind=FailureKind.UNEXPECTED_STATUS)),
        (418, Failed(kind=FailureKind.UNEXPECTED_STATUS)),
    ],
)
@ADAPTERS
def test_statuses(adapter, status, outcome):
    assert search(adapter, WireReply(status, {"code": 1, "message": "no"}))[0] == outcome


@pytest.mark.parametrize("word", ["PENDING", "RESPONSE_SCHEDULED", "RESPONSE_RETRY"])
@pytest.mark.parametrize(
    "form", [lambda word: word, lambda word: {"status": word}, lambda word: {"status": word, "a": 1}]
)
@ADAPTERS
def test_a_task_under_way_is_waited_for(adapter, word, form):
    outcome, (call,) = poll(adapter, WireReply(200, form(word)))
    assert isinstance(outcome, StillPending)
    assert (call.method, call.path, call.idempotent) == ("GET", "/v1/tasks/task%2F1/status", True)


@pytest.mark.parametrize("member", ["candidates", "result"])
@ADAPTERS
def test_a_completed_task_may_hold_its_result(adapter, member):
    outcome, sent = poll(adapter, WireReply(200, {"status": "COMPLETED", member: [PLAIN]}))
    assert isinstance(outcome, Answered)
    assert len(sent) == 1
    assert poll(adapter, WireReply(200, {"status": "COMPLETED", member: []}))[0] == NoHit()
    assert poll(adapter, WireReply(200, {"status": "COMPLETED", member: {}}))[0] == MALFORMED


@pytest.mark.parametrize(
    "done", ["COMPLETED", {"status": "COMPLETED"}, {"status": "COMPLETED", "candidates": None}], ids=str
)
@ADAPTERS
def test_a_completed_task_without_result_is_asked_to_deliver_again(adapter, done):
    outcome, sent = poll(adapter, WireReply(200, done), WireReply(204, None))
    assert isinstance(outcome, RedeliveryAsked)
    assert (sent[1].method, sent[1].path, sent[1].idempotent) == ("POST", "/v1/tasks/task%2F1/redeliver", True)
    assert poll(adapter, WireReply(200, done), WireReply(404, None))[0] == Failed(kind=FailureKind.UNKNOWN_TASK)
    assert poll(adapter, WireReply(200, done), WireReply(409, None))[0] == Failed(kind=FailureKind.PARTNER_ERROR)
    assert poll(adapter, WireReply(200, done), WireReply(403, None))[0] == Refused(code=Refusal.NOT_AUTHORISED)


@ADAPTERS
def test_a_failed_and_an_unknown_task(adapter):
    assert poll(adapter, WireReply(200, "RESPONSE_ERROR"))[0] == Failed(kind=FailureKind.PARTNER_ERROR)
    assert poll(adapter, WireReply(404, None))[0] == Failed(kind=FailureKind.UNKNOWN_TASK)
    assert poll(adapter, WireReply(400, None))[0] == Refused(code=Refusal.BAD_REQUEST)
    assert poll(adapter, WireReply(500, None))[0] == Failed(kind=FailureKind.PARTNER_ERROR)


@pytest.mark.parametrize(
    "status", [None, 1, [], {}, {"status": 1}, {"status": ["PENDING"]}, "pending", "DONE", {"candidates": []}], ids=str
)
def test_a_status_that_is_none_of_the_standards_words_is_malformed(status):
    assert poll(DosAdapter(), WireReply(200, status))[0] == MALFORMED


ASKED = {"transactionId": "trx_aaaaaaaa", "taskId": "t-1"}


def test_a_callback_brings_candidates_or_an_error():
    assert read_callback(TERMS, b"[]", ASKED) == NoHit()
    assert isinstance(read_callback(TERMS, b'[{"personId": "P1", "rank": 1, "score": 1}]', ASKED), Answered)
    failed = read_callback(TERMS, b'{"code": 5, "message": "broken"}', ASKED)
    assert failed == Failed(kind=FailureKind.PARTNER_ERROR)


@pytest.mark.parametrize(
    "query", [{}, {"taskId": "t-1"}, {"transactionId": "trx_aaaaaaaa"}, {**ASKED, "transactionId": "trx_b"}], ids=str
)
def test_a_callback_for_something_else_is_malformed(query):
    assert read_callback(TERMS, b"[]", query) == MALFORMED


@pytest.mark.parametrize("body", [b"", b"{", b'[{"personId":"a","personId":"b","rank":1,"score":1}]', b"[NaN]"])
def test_a_callbacks_json_is_read_strictly(body):
    assert read_callback(TERMS, body, ASKED) == Failed(kind=FailureKind.NOT_STRICT_JSON)
