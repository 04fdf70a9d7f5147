import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from broker.kernel.wire import WireFailure, WireFault
from broker.partners.claims import added_caveats, foreign_owner, owner_of
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    Handling,
    NoHit,
    OrderTerms,
    ProbeImage,
    ReportedCandidate,
    SearchOrder,
    path_segment,
)
from tests.unit.partners.entries import entry

JPEG = b"\xff\xd8\xff\xe0 a picture"
TERMS = {"transaction_id": "trx_aaaaaaaa", "gallery": "g", "max_candidates": 2, "purpose": "p"}


def marked(owner=None, caveats=(), reference="R-1", rank=1):
    return ReportedCandidate(reference=reference, rank=rank, score=0.5, handling=Handling(owner=owner, caveats=caveats))


def test_an_adapter_that_imports_the_contract_loads_no_client_and_no_database():
    code = "import sys, broker.partners.contract; print([m for m in ('httpx','tenacity','sqlalchemy','casbin','fastapi') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_probe_is_a_jpeg_with_its_own_hash_and_is_never_shown():
    probe = ProbeImage.of(JPEG)
    assert probe.sha256 == hashlib.sha256(JPEG).hexdigest()
    order = SearchOrder(**TERMS, probe=probe)
    assert "a picture" not in repr(order)
    for content, sha256 in ((b"", ""), (b"\x89PNG", None), (JPEG, "0" * 64)):
        with pytest.raises(ValidationError):
            ProbeImage(content=content, sha256=hashlib.sha256(content).hexdigest() if sha256 is None else sha256)


@pytest.mark.parametrize(
    "change",
    [{"transaction_id": "a b c d e"}, {"transaction_id": ""}, {"transaction_id": "trx\n12345"}, {"max_candidates": 0},
     {"max_candidates": 51}, {"max_candidates": "2"}, {"gallery": ""}, {"owner": "CBP"}],
    ids=str,
)  # fmt: skip
def test_an_order_is_strict(change):
    with pytest.raises(ValidationError):
        OrderTerms(**{**TERMS, **change})


@pytest.mark.parametrize("url", ["ftp://x", "http://a b", "http://a?x=1", "http://a#b", "", "javascript:x"])
def test_a_callback_address_is_a_plain_url(url):
    with pytest.raises(ValidationError):
        SearchOrder(**TERMS, probe=ProbeImage.of(JPEG), callback_url=url)


def test_values_are_frozen():
    with pytest.raises(ValidationError):
        Failed(kind=FailureKind.TOO_LARGE).kind = FailureKind.ENCODED


def test_every_fault_of_the_wire_but_a_timeout_has_a_kind_of_failure():
    for fault in WireFault:
        if fault is not WireFault.TIMED_OUT:
            assert FailureKind(fault.value)


@given(st.text(min_size=1, max_size=30))
def test_a_segment_is_one_segment(text):
    try:
        segment = path_segment(text)
    except WireFailure:
        assert text in {".", ".."}
    except UnicodeEncodeError:
        raise AssertionError from None
    else:
        assert segment
        assert not set(segment) & set("/?#\\ \r\n")


def test_half_a_surrogate_pair_is_no_segment():
    with pytest.raises(WireFailure):
        path_segment("\ud800")


def test_no_claim_and_the_registered_owner_are_no_foreign_owner():
    row = entry()
    assert foreign_owner(row, NoHit()) is None
    assert foreign_owner(row, Answered(candidates=())) is None
    plain = ReportedCandidate(reference="R-1", rank=1, score=0.5)
    assert foreign_owner(row, Answered(candidates=(plain, marked(None, (), "R-2"), marked("CBP", (), "R-3")))) is None


@pytest.mark.parametrize("claimed", ["DOS", "cbp", "CBP ", " CBP", "СВР", "DHS", "*", "CBP\u200b"])
def test_any_other_owner_is_foreign_even_of_one_candidate_among_many(claimed):
    answer = Answered(candidates=(marked("CBP"), marked(claimed, reference="R-2", rank=2)))
    assert foreign_owner(entry(), answer) == claimed


@pytest.mark.parametrize("claimed", ["DOS", "cbp", "FBI"])
def test_no_hit_is_the_partner_s_owner_s_and_nobody_else_s(claimed):
    row = entry().model_copy(update={"other_owners": ("FBI",)})
    assert foreign_owner(row, NoHit(claimed_owner=claimed)) == claimed
    assert foreign_owner(row, NoHit(claimed_owner="CBP")) is None


def test_a_traitor_that_repairs_names_would_let_a_foreign_owner_pass():
    assert foreign_owner(entry(), Answered(candidates=(marked("cbp "),))) is not None
    assert "cbp ".strip().upper() == entry().owner


def test_the_partners_caveats_only_add():
    row = entry().model_copy(update={"caveats": ("lead_only",)})
    answer = Answered(candidates=(marked("CBP", ("lead_only", "no_onward", "no_onward", "made_up")), marked(None)))
    assert added_caveats(row, answer) == (("no_onward", "made_up"), ())
    assert added_caveats(row, NoHit()) == ()


def test_a_gateway_may_answer_with_the_records_of_the_owners_that_the_register_names_and_of_no_others():
    row = entry().model_copy(update={"other_owners": ("FBI",)})
    answer = Answered(candidates=(marked("CBP"), marked("FBI", reference="R-2", rank=2), marked(None, (), "R-3", 3)))
    assert foreign_owner(row, answer) is None
    assert [owner_of(row, one) for one in answer.candidates] == ["CBP", "FBI", "CBP"]
    for claimed in ("DOS", "fbi", "FBI ", "DOJ", ""):
        if claimed:
            assert foreign_owner(row, Answered(candidates=(marked("FBI"), marked(claimed, (), "R-2", 2)))) == claimed
    # What is not named is never taken for an owner.
    assert owner_of(row, marked("DOS")) == "CBP"
