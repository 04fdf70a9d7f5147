"""Casbin drops or misreads these lines without a word; the strict reader names each of them."""

import pytest

from broker.policy.question import GRANTING
from broker.policy.source import from_files
from tests.support.policy_files import appended, edited, faults_of, lean, shipped

DOS = "owners/DOS.csv"


def said_of(row: str) -> str:
    return "\n".join(faults_of(lean(appended(DOS, row))))


def test_the_shipped_rows_are_taken() -> None:
    bundle = from_files(shipped())
    assert len(bundle.share_rows) == 55
    assert {row.owner for row in bundle.share_rows} == set(bundle.agencies)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("p, DOS, FBI, release, any, any, permission, Deny", "unknown eft 'Deny'; did you mean 'deny'?"),
        ("p, DOS, FBI, release, any, any, nothing, deny # by phone", "runs into a comment"),
        ("p, DOS, FBI, release, any, any, nothing, deny; note", "which is no single word"),
        ("p, DOS, FBI, release, any, any, permission", "and this one has 6"),
        ("p, DOS, FBI, release, any, any, permission, allow, allow", "and this one has 8"),
        ("P, DOS, FBI, release, any, any, permission, allow", "a row starts with 'p'"),
        ("p2, admin, grant_record, allow", "a row starts with 'p'"),
        ("g, FBI, DOS", "a row starts with 'p'"),
        ("p DOS FBI release any any permission allow", "a row starts with 'p'"),
        ("p, DOS, , release, any, any, permission, allow", "the field recipient is empty"),
        ("p, DOS, *, release, any, any, permission, allow", "there is no wildcard, the word is 'any'"),
        ("p, DOS, F*, release, any, any, permission, allow", "there is no wildcard"),
        ('p, DOS, "FBI", release, any, any, permission, allow', "bare words, without quotes"),
        ("p, DOS, [FBI], release, any, any, permission, allow", "bare words, without quotes"),
        ("p, DOS, FBI) or (True, release, any, any, permission, allow", "bare words, without quotes"),
        ("p, DOS, fbi, release, any, any, permission, allow", "did you mean 'FBI'?"),
        ("p, DOS, FBI-EVIL, release, any, any, permission, allow", "unknown recipient 'FBI-EVIL'"),
        ("p, DOS, FBI FBI, release, any, any, permission, allow", "no single word"),
        ("p, DOS, ANY, release, any, any, permission, allow", "unknown recipient 'ANY'"),
        ("p, DOS, under:DOJ, release, any, any, permission, allow", "unknown recipient 'under:DOJ'"),
        ("p, DOS, within:within:DOJ, release, any, any, permission, allow", "unknown recipient 'within:within:DOJ'"),
        ("p, DOS, within:, release, any, any, permission, allow", "unknown recipient 'within:'"),
        ("p, DOS, within:any, release, any, any, permission, allow", "unknown recipient 'within:any'"),
        ("p, DOS, FBI, release, within:criminal_investigation, any, permission, allow", "unknown purpose"),
        ("p, DOS, FBI, relase, any, any, permission, allow", "did you mean 'release'?"),
        ("p, DOS, FBI, release, any, lead_sheet, permission, allow", "unknown item_kind 'lead_sheet'"),
        ("p, DOS, FBI, release, any, any, none, allow", "unknown needs 'none'"),
        ("p, DOS, FBI, release, any, any, permission, deny", "a deny row needs 'nothing'"),
        ("p, CBP, FBI, release, any, any, permission, allow", "this is DOS's file, and the row speaks for 'CBP'"),
        # Cyrillic and full-width letters, and a dash that is none.
        ("p, DOS, \u0421BP, release, any, any, permission, allow", "U+0421 (CYRILLIC CAPITAL LETTER ES)"),
        ("p, DOS, FB\uff29, release, any, any, permission, allow", "U+FF29 (FULLWIDTH LATIN CAPITAL LETTER I)"),
        ("p, DOS, ICE\u2010HSI, release, any, any, permission, allow", "U+2010 (HYPHEN)"),
        # What no editor shows: a zero-width space, a no-break space, a direction override, a null, a tab.
        ("p, DOS, FBI\u200b, release, any, any, permission, allow", "U+200B"),
        ("p, DOS,\u00a0FBI, release, any, any, permission, allow", "U+00A0"),
        ("p, DOS, FBI, release, any, any, permission, \u202eallow", "U+202E"),
        ("p, DOS, FBI\x00, release, any, any, permission, allow", "U+0000"),
        ("p,\tDOS, FBI, release, any, any, permission, allow", "U+0009"),
        ("# a comment\u2028p, DOS, any, release, any, any, nothing, allow", "U+2028"),
        ("# a comment\rp, DOS, any, release, any, any, nothing, allow", "U+000D"),
        ("# a comment\x85p, DOS, any, release, any, any, nothing, allow", "U+0085"),
    ],
)
def test_a_row_that_is_not_exactly_right_is_named_with_its_place(row: str, reason: str) -> None:
    before = shipped()[DOS].decode().count("\n")
    said = said_of(row)
    assert reason in said
    assert said.startswith(f"{DOS}:{before + 1}: ")


def test_a_row_that_stands_twice_or_contradicts_another_is_refused() -> None:
    assert "line 9 already says this" in said_of("p, DOS, any, release, any, any, permission, allow")
    allow, deny = "p, DOS, FBI, release, threat_to_life, lead, nothing,", "the opposite of it"
    assert deny not in said_of(f"{allow} deny")
    assert deny in "\n".join(faults_of(appended(DOS, f"{allow} deny", f"{allow} allow")))


@pytest.mark.parametrize("purpose", ["any"])
def test_a_row_that_needs_nothing_never_reaches_civil_enforcement_by_a_wildcard(purpose: str) -> None:
    assert "civil enforcement only" in said_of(f"p, DOS, FBI, release, {purpose}, any, nothing, allow")


def test_neither_does_it_through_a_parent_or_a_child_of_the_flagged_purpose() -> None:
    files = appended(
        "purposes.yaml",
        "- id: everything",
        "  title: x",
        "- id: civil_fines",
        "  title: x",
        "  parent: civil_immigration_enforcement",
    )
    text = files["purposes.yaml"].decode()
    files["purposes.yaml"] = text.replace(
        "- id: civil_immigration_enforcement\n", "- id: civil_immigration_enforcement\n  parent: everything\n", 1
    ).encode()
    rows = files[DOS]
    files[DOS] = rows + b"p, DOS, FBI, release, under:everything, any, nothing, allow\n"
    assert "'civil_fines'" in "\n".join(faults_of(files))
    assert "'civil_immigration_enforcement'" in "\n".join(faults_of(files))
    # Named, it is meant.
    for named in ("civil_immigration_enforcement", "under:civil_immigration_enforcement", "civil_fines"):
        files[DOS] = rows + f"p, DOS, FBI, release, {named}, any, nothing, allow\n".encode()
        assert faults_of(files) == []


def test_every_fault_is_reported_at_once() -> None:
    files = appended(DOS, "p, DOS, fbi, relase, any, any, permission, Allow")
    files["access.csv"] += b"p, analist, case_open\n"
    said = faults_of(files)
    assert len(said) == 4
    assert any("'analyst'" in one for one in said)


def test_an_owners_file_without_a_row_is_refused() -> None:
    files = shipped()
    files["owners/FBI.csv"] = b"# nothing yet\n\n"
    assert faults_of(files) == ["owners/FBI.csv:0: there is no row, so nobody could be given anything of FBI"]


def test_a_byte_order_mark_is_refused_in_every_file() -> None:
    for path in (DOS, "access.csv", "agencies.yaml", "model.conf", "tests/searches_test.yaml"):
        for mark in (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"):
            files = lean(shipped())
            files[path] = mark + files[path]
            assert any("byte order mark" in one for one in faults_of(files)), path


def test_other_encodings_are_refused_with_the_line() -> None:
    assert faults_of(appended(DOS, "# fine") | {DOS: shipped()[DOS] + "# é\n".encode("latin-1")}) == [
        f"{DOS}:11: this is not UTF-8"
    ]


def test_line_ends_of_either_sort_and_words_in_comments_are_taken() -> None:
    files = {path: content.replace(b"\n", b"\r\n") for path, content in shipped().items()}
    files[DOS] += "# Gemäß Vereinbarung, für alle\r\n".encode()
    assert faults_of(files) == []


def test_a_huge_file_and_too_many_rows_are_refused() -> None:
    assert "larger than" in "\n".join(faults_of(appended(DOS, "#" * 300_000)))
    rows = [f"p, DOS, FBI, release, any, any, permission, allow{number}" for number in range(300)]
    assert "more than 200 rows" in "\n".join(faults_of(appended(DOS, *rows)))


def test_an_admin_may_never_grant() -> None:
    for act in GRANTING:
        assert "an admin may never grant" in "\n".join(faults_of(appended("access.csv", f"p, admin, {act.value}")))


def test_access_rows_are_held_to_the_closed_lists() -> None:
    for row, reason in {
        "p, analyst, case_opened": "did you mean 'case_open'?",
        "p, Analyst, case_open": "did you mean 'analyst'?",
        "p, analyst, any": "unknown act 'any'",
        "p, analyst, case_open, deny": "and this one has 3",
        "p, analyst, case_open": "already says this",
    }.items():
        assert reason in "\n".join(faults_of(appended("access.csv", row)))
    assert "nobody could do anything" in "\n".join(faults_of(shipped() | {"access.csv": b"# none\n"}))


def test_the_line_of_a_row_is_where_it_stands() -> None:
    bundle = from_files(edited(DOS, "p, DOS, any, release", "\n\n# more\np, DOS, any, release"))
    row = next(row for row in bundle.share_rows if row.owner == "DOS" and row.action == "release")
    assert (row.rule.file, row.rule.line) == (DOS, 12)
    assert row.rule.text == "p, DOS, any, release, any, any, permission, allow"
