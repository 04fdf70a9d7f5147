import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.kernel.strict_json import MAX_DEPTH, NotStrictJson, read

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_what_is_json_reads_as_python_reads_it(value):
    assert read(json.dumps(value).encode()) == value
    assert read(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"[1,]", b"[] []", b"nul", b"'a'", b"[1] // no", b"[NaN]", b"[Infinity]", b"[-Infinity]",
     b"[1e999]", b"[-1e999]", b'{"a":1,"a":1}', b'[{"a":{"b":1,"b":2}}]', b'{"a":1,"\\u0061":2}', b"\xff", b'"\xff"',
     b"\xef\xbb\xbf[]", "[]".encode("utf-16"), b'"\\ud800"', b'{"\\udc00":1}', b'"\\ud800\\u0061"', b'["a\nb"]',
     b"[" + b"9" * 5000 + b"]"],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_refused(body):
    with pytest.raises(NotStrictJson) as caught:
        read(body)
    assert body.decode("latin-1") not in str(caught.value) or not body.strip()


def test_a_whole_surrogate_pair_is_a_character():
    assert read(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_depth_is_counted_outside_strings_only():
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert read(deep) is not None
    with pytest.raises(NotStrictJson, match="deeply"):
        read(b"[" + deep + b"]")
    assert read(b'["' + b"[" * 1000 + b'\\"' + b"{" * 1000 + b'"]') is not None


def test_a_recursion_error_never_leaves():
    for body in (b"[" * 1_000_000, b'{"a":' * 300_000, b"[" * 100_000 + b"]" * 100_000):
        with pytest.raises(NotStrictJson):
            read(body)


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b'\\"' * 1_000_000,
        b'"' * 1_000_001,
        b"[" + b'"a",' * 400_000,
        b'["' + b"\\" * 1_000_001,
        b"]" * 500_000,
    ],
    ids=["escaped quotes", "quotes", "strings", "backslashes", "brackets"],
)
def test_the_time_grows_with_the_length_only(body):
    begun = time.process_time()
    with pytest.raises(NotStrictJson):
        read(body)
    assert time.process_time() - begun < 5
