"""The bytes that are hashed of an entry: fixed for ever, and different for any two rows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.audit.leaf import NAMES, content, hash_of, moment

ROW = {
    "id": 7,
    "event_id": "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "at": "1769847330.123456",
    "tag": "case:register:opened",
    "actor_sub": "analyst-1",
    "actor_agency": "ICE-HSI",
    "actor_roles": '["analyst"]',
    "actor_kind": "person",
    "subjects": '{"case": "cas_aaaaaaaaaaaaaaaaaaaaaaaaaa"}',
    "detail": '{"note": "na\\u00efve \\"x\\"", "count": 3, "exigent": false, "reason": null}',
    "xact": "801",
}


def row(**changes):
    return [{**ROW, **changes}[name] for name in NAMES]


def test_the_example_of_the_documentation():
    """docs/audit.md gives these bytes and this hash to whoever writes another verifier."""
    expected = (
        '{"actor_agency":"ICE-HSI","actor_kind":"person","actor_roles":["analyst"],"actor_sub":"analyst-1",'
        '"at":"2026-01-31T08:15:30.123456Z","detail":{"count":3,"exigent":false,"note":"naïve \\"x\\"","reason":null},'
        '"event_id":"evt_aaaaaaaaaaaaaaaaaaaaaaaaaa","id":7,"subjects":{"case":"cas_aaaaaaaaaaaaaaaaaaaaaaaaaa"},'
        '"tag":"case:register:opened","v":1,"xact":"801"}'
    )
    assert content(row()).decode() == expected
    assert hash_of(row()).hex() == "b1d3978d22bf843e54e1b36db830490c7ac421fd00ed9756b5f3dc70c9f2b94c"


def test_spaces_and_the_order_of_names_in_the_database_do_not_matter():
    assert content(row(detail='{"b":1,"a":{"d":2,"c":3}}')) == content(row(detail='{"a": {"c": 3, "d": 2}, "b": 1}'))


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        ("0.000000", "1970-01-01T00:00:00.000000Z"),
        ("-0.000001", "1969-12-31T23:59:59.999999Z"),
        ("1769847330.000000", "2026-01-31T08:15:30.000000Z"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("-99999999999.000000", "-99999999999.000000"),
        ("999999999999999.000000", "999999999999999.000000"),
        (None, None),
    ],
)
def test_moments(epoch, text):
    assert moment(epoch) == text


# Pairs that a careless canonical form would take for the same.
PAIRS = [
    ("detail", '{"n": 1}', '{"n": 1.0}'),
    ("detail", '{"n": 1.0}', '{"n": 1.00}'),
    ("detail", '{"n": 1}', '{"n": "1"}'),
    ("detail", '{"n": 1}', '{"n": true}'),
    ("detail", '{"n": null}', "{}"),
    ("detail", '{"n": 1.5}', '"{\\"n\\": 1.5}"'),
    ("detail", "{}", "[]"),
    ("detail", "{}", '"{}"'),
    ("detail", "[]", '"[]"'),
    ("detail", "null", None),
    ("detail", "null", '"null"'),
    ("detail", '{"n": 1' + "0" * 5000 + "}", '{"n": 2' + "0" * 5000 + "}"),
    ("detail", '{"n": 12345678901234567890}', '{"n": 12345678901234567891}'),
    ("actor_roles", '["analyst", "auditor"]', '["analyst,auditor"]'),
    ("actor_roles", '["analyst"]', '"[2:2]={analyst}"'),
    ("actor_roles", '["analyst"]', '[["analyst"]]'),
    ("actor_roles", "[]", '[""]'),
    ("at", "1769847330.123456", "1769847330.123457"),
    ("tag", "", None),
    ("actor_sub", "é", "e\u0301"),
]


@pytest.mark.parametrize(("name", "one", "other"), PAIRS)
def test_values_that_look_alike_give_other_bytes(name, one, other):
    assert content(row(**{name: one})) != content(row(**{name: other}))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.dictionaries(st.text(), VALUES, max_size=4))
def test_two_documents_give_the_same_bytes_only_if_they_are_the_same(one, other):
    def text(document):
        return json.dumps(document, ensure_ascii=False)

    surrogates = [character for character in text(one) + text(other) if "\ud800" <= character <= "\udfff"]
    if surrogates:  # PostgreSQL holds none.
        return
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (content(row(detail=text(one))) == content(row(detail=text(other)))) == same
    assert json.loads(content(row(detail=text(one))))["detail"] == one
