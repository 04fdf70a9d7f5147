"""Transaction files: one file has one meaning, what was read is written back, everything else is said to be none."""

import contextlib
from datetime import date

import nistitl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dmv import itl, mapping
from adapters.dmv.itl import FS, GS, RS, US, Fault, NotAFile, Record
from adapters.faces.samples import hit_probe
from broker.partners.contract import ProbeImage, SearchOrder

ORDER = SearchOrder(
    transaction_id="trx_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    gallery="drivers",
    max_candidates=20,
    purpose="criminal_investigation",
    asked_on=date(2026, 1, 31),
    probe=ProbeImage.of(hit_probe(0)),
)
FILE = mapping.search_file(ORDER).content


def fault_of(content):
    with pytest.raises(NotAFile) as caught:
        itl.read(content)
    return caught.value.fault


def raw(kind, *fields, length=None, end=FS):
    """A record as somebody else's program might write it, right or wrong."""
    body = "".join(GS + one for one in fields).encode("latin-1") + end.encode()
    head = f"{kind}.001:"
    whole = len(head) + len(body) + 1
    while len(head) + len(str(whole)) + len(body) != whole:
        whole = len(head) + len(str(whole)) + len(body)
    return f"{head}{whole if length is None else length}".encode() + body


def head(*listed, **changed):
    contents = RS.join([f"1{US}{len(listed)}", *listed])
    return raw(1, "1.002:0500", f"1.003:{contents}", "1.004:SRB", **changed)


def test_the_empty_file_is_none():
    assert fault_of(b"") is Fault.EMPTY


def test_a_whole_file_is_read_and_written_back_to_the_byte():
    records = itl.read(FILE)
    assert [record.type for record in records] == [1, 2, 10]
    assert records[2].image == ORDER.probe.content
    assert records[0].one(mapping.KIND) == "FRS"
    assert itl.write(records) == FILE


@pytest.mark.parametrize("index", range(5))
def test_every_drawn_picture_survives_whatever_separators_its_bytes_hold(index):
    picture = hit_probe(index)
    assert set(picture) >= set(b"\x1c\x1d\x1e\x1f")
    order = ORDER.model_copy(update={"probe": ProbeImage.of(picture)})
    content = mapping.search_file(order).content
    assert itl.read(content)[2].image == picture
    assert itl.write(itl.read(content)) == content


def test_a_file_of_another_hand_is_read():
    content = head(f"2{US}00") + raw(2, "2.002:00", f"2.2033:1{US}D-1{RS}2{US}D-2", "2.059:I")
    records = itl.read(content)
    assert records[1].fields[2033] == (("1", "D-1"), ("2", "D-2"))
    assert records[1].one(59) == "I"
    assert records[1].one(2033) is None
    assert itl.write(records) == content


@pytest.mark.parametrize("at", [*range(1, 60), len(FILE) // 2, len(FILE) - 1])
def test_a_file_cut_anywhere_is_none(at):
    assert isinstance(fault_of(FILE[:at]), Fault)


@pytest.mark.parametrize(
    "wrong", ["0", "1", "9", "10", "67", "0068", "99999", "999999999", "9" * 4000, "-1", "1e3", ""]
)
def test_a_length_that_is_not_the_records_is_refused(wrong):
    content = head(length=wrong)
    assert fault_of(content) in {Fault.WRONG_LENGTH, Fault.TRUNCATED, Fault.NOT_A_FIELD}


def test_a_giant_length_costs_nothing():
    assert fault_of(b"1.001:999999999" + GS.encode() + b"1.002:0500" + FS.encode()) is Fault.TRUNCATED


def test_lengths_that_would_overlap_or_skip_a_record_are_refused():
    text = raw(2, "2.002:00")
    first = head(f"2{US}00")
    assert itl.read(first + text)
    assert fault_of(head(f"2{US}00", length=len(first) + len(text)) + text) is Fault.WRONG_LENGTH


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (head(f"2{US}00") + raw(2, "2.002:00", "2.059:I", "2.059:N"), Fault.DUPLICATE_FIELD),
        (head(f"2{US}00") + raw(2, "2.002:00", "2.001:9"), Fault.DUPLICATE_FIELD),
        (head(f"2{US}00") + raw(2, "2.002:00", "10.059:I"), Fault.NOT_A_FIELD),
        (head(f"2{US}00") + raw(2, "2.002:00", "2.59:I"), Fault.NOT_A_FIELD),
        (head(f"2{US}00") + raw(2, "2.002:00", "2.0059:I"), Fault.NOT_A_FIELD),
        (head(f"2{US}00") + raw(2, "2.002:00", "2.059"), Fault.NOT_A_FIELD),
        (head(f"2{US}00") + raw(2, "2.002:00", ""), Fault.NOT_A_FIELD),
        (head(f"2{US}00") + raw(2, "2.002:00", "2.999:x"), Fault.NOT_A_FIELD),
        (head(f"2{US}00") + raw(2, "2.002:00", f"2.059:I{FS}N"), Fault.WRONG_LENGTH),
        (head(f"2{US}00") + raw(2, "2.002:00", "2.059:\u00ff"), Fault.BAD_CHARACTER),
        (head(f"2{US}00") + raw(2, "2.002:00", "2.059:I\n"), Fault.BAD_CHARACTER),
        (head(f"2{US}00") + raw(2, "2.002:00", end=GS), Fault.WRONG_LENGTH),
        (head(f"2{US}00") + raw(2, "2.002:01"), Fault.WRONG_CONTENTS),
        (head(f"2{US}00") + raw(2, "2.002:000"), Fault.WRONG_CONTENTS),
        (head(f"2{US}00") + raw(2, "2.059:I"), Fault.WRONG_CONTENTS),
        (head(f"2{US}00"), Fault.WRONG_CONTENTS),
        (head() + raw(2, "2.002:00"), Fault.WRONG_CONTENTS),
        (head(f"2{US}00", f"2{US}0") + raw(2, "2.002:00") + raw(2, "2.002:0"), Fault.WRONG_CONTENTS),
        (head(f"2{US}00", f"2{US}00") + raw(2, "2.002:00") * 2, Fault.WRONG_CONTENTS),
        (raw(2, "2.002:00"), Fault.UNKNOWN_RECORD),
        (head(f"1{US}00") + head(), Fault.UNKNOWN_RECORD),
        (head(f"9{US}00") + raw(9, "9.002:00"), Fault.UNKNOWN_RECORD),
        (head(f"10{US}01") + raw(10, "10.002:01"), Fault.NOT_A_FIELD),
        (head() + b"\0", Fault.TRUNCATED),
        (head() + b"\0" * 64, Fault.NOT_A_FIELD),
        (raw(1, "1.002:0500", "1.003:1" + US + "0", *(f"1.{number}:x" for number in range(100, 300))), Fault.TOO_MUCH),
        (
            head(*(f"2{US}{number:02}" for number in range(20)))
            + b"".join(raw(2, f"2.002:{number:02}") for number in range(20)),
            Fault.TOO_MUCH,
        ),
    ],
)
def test_what_is_wrong_is_said(content, fault):
    assert fault_of(content) is fault


@pytest.mark.parametrize("item", [FS, GS, RS, US, "a\nb", "\u00fc", "x" + GS + "2.060:y"])
def test_no_item_can_smuggle_a_separator_into_a_file(item):
    text = Record(itl.TEXT, {itl.IDENTIFIER: itl.single("00"), 59: itl.single(item)})
    with pytest.raises(NotAFile):
        itl.write(itl.transaction({}, (text,)))


def test_another_program_reads_the_same_in_our_files_and_we_in_its():
    """nistitl, a library of another licence, is only a witness here: it does not keep the bytes as they came."""
    theirs = nistitl.Message()
    theirs.parse(FILE)
    ours = itl.read(FILE)
    (head,), (text,), (face,) = (list(theirs.iter(record.type)) for record in ours)
    assert theirs.TOT == "FRS"
    assert ORDER.transaction_id == head.TCN
    assert (text._079, text._098) == ("20", "drivers")
    assert ORDER.probe.content == face.DATA
    rewritten = theirs.NIST
    back = itl.read(rewritten)
    assert itl.write(back) == rewritten
    assert [record.image for record in back] == [record.image for record in ours]
    assert back[0].one(mapping.CONTROL) == ORDER.transaction_id
    assert {number: back[1].one(number) for number in (79, 98)} == {79: "20", 98: "drivers"}


words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
values = st.lists(st.lists(words, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4).map(tuple)
fields = st.dictionaries(st.integers(3, 998), values, max_size=8)


@given(fields, fields, fields, st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_read_back(one, two, three, image):
    text = Record(2, {2: itl.single("00"), **two})
    face = Record(10, {2: itl.single("01"), **three}, image)
    records = itl.transaction({number: value for number, value in one.items() if number != 3}, (text, face))
    assert itl.read(itl.write(records)) == records


@given(st.integers(0, 700), st.binary(min_size=1, max_size=4))
@settings(max_examples=400, deadline=None)
def test_a_changed_file_is_refused_or_is_exactly_another_one(at, change):
    """The head and text of a file, where a change could alter its meaning."""
    short = mapping.search_file(ORDER.model_copy(update={"probe": ProbeImage.of(b"\xff\xd8\xff")})).content
    changed = short[: at % len(short)] + change + short[at % len(short) + len(change) :]
    try:
        records = itl.read(changed)
    except NotAFile:
        return
    assert itl.write(records) == changed


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_else(content):
    with contextlib.suppress(NotAFile):
        itl.read(content)


def test_a_field_of_nothing_but_separators_is_too_much_before_it_is_taken_apart():
    for separator in (RS, US):
        content = raw(1, "1.002:0500", f"1.003:{separator * 900_000}")
        assert fault_of(content) is Fault.TOO_MUCH
    assert fault_of(raw(1, *["1.002:x"] * 100_000)) is Fault.TOO_MUCH
