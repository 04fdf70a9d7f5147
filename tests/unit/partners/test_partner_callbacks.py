from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.partners.callbacks import WINDOW_SECONDS, Doubt, Unverified, Verified, api_key, sign, verify

SECRET = b"s" * 32
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REQUEST = {"method": "POST", "target": "/v1/callbacks/dos-ccd?transactionId=a&taskId=b", "body": b"[]"}


def test_a_signature_verifies():
    header = sign(SECRET, **REQUEST, at=NOW)
    assert verify(SECRET, header, **REQUEST, now=NOW) == Verified(int(NOW.timestamp()))


def test_no_signature_is_missing_and_falsy():
    seen = verify(SECRET, None, **REQUEST, now=NOW)
    assert seen == Unverified(Doubt.MISSING)
    assert not seen


@pytest.mark.parametrize(
    "change",
    [{"method": "PUT"}, {"target": "/v1/callbacks/cbp-atsp?transactionId=a&taskId=b"}, {"target": "/v1/callbacks/dos-ccd"},
     {"target": "/v1/callbacks/dos-ccd?transactionId=a&taskId=c"}, {"body": b"[ ]"}, {"body": b""}],
    ids=str,
)  # fmt: skip
def test_another_request_does_not_verify(change):
    header = sign(SECRET, **REQUEST, at=NOW)
    assert verify(SECRET, header, **{**REQUEST, **change}, now=NOW) == Unverified(Doubt.MISMATCH)


def test_another_partners_secret_does_not_verify():
    assert verify(b"t" * 32, sign(SECRET, **REQUEST, at=NOW), **REQUEST, now=NOW) == Unverified(Doubt.MISMATCH)


def test_the_api_key_signs_nothing():
    header = sign(api_key(SECRET).encode(), **REQUEST, at=NOW)
    assert not verify(SECRET, header, **REQUEST, now=NOW)


@pytest.mark.parametrize("away", [-WINDOW_SECONDS, 0, WINDOW_SECONDS])
def test_within_the_window_it_is_good(away):
    assert verify(SECRET, sign(SECRET, **REQUEST, at=NOW), **REQUEST, now=NOW + timedelta(seconds=away))


@pytest.mark.parametrize("away", [-WINDOW_SECONDS - 1, WINDOW_SECONDS + 1, 10**8])
def test_outside_the_window_it_is_stale(away):
    seen = verify(SECRET, sign(SECRET, **REQUEST, at=NOW), **REQUEST, now=NOW + timedelta(seconds=away))
    assert seen == Unverified(Doubt.STALE)


def test_a_fresher_time_cannot_be_written_over_an_old_signature():
    old = sign(SECRET, **REQUEST, at=NOW - timedelta(hours=1))
    forged = f"t={int(NOW.timestamp())},{old.partition(',')[2]}"
    assert verify(SECRET, forged, **REQUEST, now=NOW) == Unverified(Doubt.MISMATCH)


@given(st.text(max_size=120))
def test_garbage_is_malformed_and_never_raises(header):
    assert verify(SECRET, header, **REQUEST, now=NOW) == Unverified(Doubt.MALFORMED)


@pytest.mark.parametrize(
    "header",
    ["t=1,v1=" + "A" * 64, "t=1,v1=" + "a" * 63, " t=1,v1=" + "a" * 64, "t=1,v1=" + "a" * 64 + "\n", "t=-1,v1=" + "a" * 64,
     "t=1,v1=" + "a" * 64 + ",v1=" + "b" * 64, "t=\u0661,v1=" + "a" * 64, "v1=" + "a" * 64],
)  # fmt: skip
def test_only_the_one_form_is_read(header):
    assert verify(SECRET, header, **REQUEST, now=NOW) == Unverified(Doubt.MALFORMED)


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_a_body_cannot_be_moved_into_the_head(one, other):
    """A traitor that joined the parts without a mark between them would take `/a` + `b` for `/ab`."""
    header = sign(SECRET, method="POST", target="/a", body=one + other, at=NOW)
    seen = verify(SECRET, header, method="POST", target="/a" + one.hex(), body=other, now=NOW)
    assert bool(seen) == (one == b"")


def test_an_empty_secret_is_refused():
    with pytest.raises(ValueError, match="empty secret"):
        sign(b"", **REQUEST, at=NOW)


def test_the_key_is_not_the_secret():
    assert SECRET.hex() not in api_key(SECRET)
    assert len(api_key(SECRET)) == 64
