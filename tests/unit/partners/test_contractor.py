"""What the contractor's verdicts mean: one to one, about this very participant, and never about a place."""

import asyncio

import pytest

from adapters.contractor import mapping
from adapters.contractor.adapter import ContractorAdapter
from broker.kernel.whereabouts import tells_where
from broker.partners.claims import foreign_owner
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
from broker.partners.fakes import ScriptedWire
from broker.policy.source import load
from tests.support.policy_files import SHIPPED

ORDER = SearchOrder(
    transaction_id="trx_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    gallery="check-in",
    max_candidates=2,
    purpose="supervision_check_in",
    participant="P-0100",
    probe=ProbeImage.of(b"\xff\xd8\xff drawn"),
)
CHECKIN = next(one for one in load(SHIPPED).partners if one.id == "contractor-checkin")
MALFORMED = Failed(kind=FailureKind.MALFORMED_REPLY)
WHERE = Failed(kind=FailureKind.LOCATION_SENT)


def verdict(**changed):
    said = {
        "reference": ORDER.transaction_id,
        "participant": "P-0100",
        "verdict": "match",
        "score": 0.97,
        "owner": "CONTRACTOR-EX",
        **changed,
    }
    return mapping.read_verdict(WireReply(200, said), ORDER)


def test_without_a_participant_nothing_is_sent():
    wire = ScriptedWire([])
    outcome = asyncio.run(ContractorAdapter().search(ORDER.model_copy(update={"participant": None}), wire))
    assert outcome == Refused(code=Refusal.BAD_REQUEST)
    assert wire.sent == []


def test_a_match_is_one_candidate_and_no_match_is_no_hit():
    found = verdict()
    assert isinstance(found, Answered)
    assert [(one.reference, one.rank, one.score) for one in found.candidates] == [("P-0100", 1, 0.97)]
    assert found.candidates[0].handling.owner == "CONTRACTOR-EX"
    assert verdict(verdict="no_match", score=0.1) == NoHit(claimed_owner="CONTRACTOR-EX")


@pytest.mark.parametrize(
    "changed",
    [
        {"participant": "P-0107"},
        {"participant": "p-0100"},
        {"reference": "trx_other"},
        {"verdict": "maybe"},
        {"verdict": True},
        {"score": "0.97"},
        {"score": None},
        {"score": float("nan")},
        {"owner": 7},
        {"owner": ""},
        {"owner": "CONTRACTOR-EX\n"},
        {"remark": "late"},
    ],
)
@pytest.mark.parametrize("word", ["match", "no_match"])
def test_a_verdict_about_anybody_else_or_of_another_shape_is_none(word, changed):
    assert verdict(**{"verdict": word} | changed) == MALFORMED


@pytest.mark.parametrize("word", ["match", "no_match"])
def test_whomever_a_verdict_is_claimed_for_is_held_against_the_register(word):
    assert foreign_owner(CHECKIN, verdict(verdict=word)) is None
    assert foreign_owner(CHECKIN, verdict(verdict=word, owner=None)) is None
    assert foreign_owner(CHECKIN, verdict(verdict=word, owner="DOS")) == "DOS"


def test_traitor_that_takes_every_no_match_for_no_hit_is_caught(monkeypatch):
    honest = mapping._verdict
    monkeypatch.setattr(mapping, "_verdict", lambda said: NoHit() if said["verdict"] == "no_match" else honest(said))
    with pytest.raises(AssertionError):
        test_whomever_a_verdict_is_claimed_for_is_held_against_the_register("no_match")
    with pytest.raises(AssertionError):
        test_a_verdict_about_anybody_else_or_of_another_shape_is_none("no_match", {"score": "0.97"})


@pytest.mark.parametrize(
    "told",
    [
        {"location": "x"},
        {"lastLocation": {"lat": 1}},
        {"meta": {"device": [{"gps_lat": 1}]}},
        {"GPSFix": 1},
        {"homeAddress": "x"},
        {"Longitude": None},
        {"verdict": "no_match", "geoHash": "x"},
    ],
)
def test_a_reply_that_says_where_somebody_is_is_not_taken_at_all(told):
    assert verdict(**told) == WHERE


@pytest.mark.parametrize("name", ["score", "verdict", "participant", "relation", "position", "collation", "translated"])
def test_other_words_are_no_places(name):
    assert not tells_where(name)


def test_an_unknown_participant_is_told_from_an_unknown_programme():
    def refused(error):
        return mapping.read_verdict(WireReply(404, {"error": error}), ORDER)

    assert refused("unknown_participant") == Refused(code=Refusal.UNKNOWN_PARTICIPANT)
    assert refused("unknown programme") == Refused(code=Refusal.UNKNOWN_GALLERY)
