"""The folder as a whole: which files belong, how they are read, and what their digest is."""

import os
from pathlib import Path

import pytest

from broker.policy.faults import PolicyInvalid
from broker.policy.source import digest_of, from_files, load, read_folder
from tests.support.policy_files import SHIPPED, faults_of, shipped, without, written


def refused(folder: Path) -> str:
    with pytest.raises(PolicyInvalid) as invalid:
        load(folder)
    return str(invalid.value)


def test_the_shipped_folder_is_good() -> None:
    bundle = load(SHIPPED)
    assert bundle.digest == digest_of(shipped())
    assert bundle.digest.startswith("sha256:")
    assert [partner.id for partner in bundle.partners] == [
        "cbp-atsp",
        "dos-ccd",
        "state-dmv",
        "vendor-lpr",
        "contractor-checkin",
    ]
    assert bundle.agencies.chain("ICE-HSI") == ("ICE-HSI", "ICE", "DHS")
    assert bundle.civil_purposes == {"civil_immigration_enforcement", "supervision_check_in"}
    assert {code for code, caveat in bundle.caveats.items() if not caveat.restricts} == {"lead_only"}
    assert set(bundle.caveats) >= {"no_onward", "originator_only", "department_only", "verify_with_owner"}
    for partner in bundle.partners:
        # The contractor's check-in is what its own agreement is for, and the only civil matter that any agreement names.
        civil = {"supervision_check_in"} if partner.id == "contractor-checkin" else set()
        assert bundle.civil_purposes & set(partner.agreement.purposes) == civil
        assert "lead_only" in partner.caveats


@pytest.mark.parametrize(
    "path", ["agencies.yaml", "purposes.yaml", "caveats.yaml", "partners.yaml", "model.conf", "access.csv"]
)
def test_a_file_that_is_missing_or_empty_is_named(path: str) -> None:
    assert f"{path}:0: the file is missing" in faults_of(without(path))
    assert any(one.startswith(f"{path}:") for one in faults_of(shipped() | {path: b""}))


def test_no_files_at_all_are_no_policy() -> None:
    assert len(faults_of({})) >= 6


def test_rules_without_suites_are_not_loaded() -> None:
    files = {path: content for path, content in shipped().items() if not path.startswith("tests/")}
    assert faults_of(files) == ["tests:0: there is no suite; rules that nobody has tried are not loaded"]


def test_the_owner_of_a_partner_needs_a_file() -> None:
    said = "\n".join(faults_of(without("owners/DOS.csv")))
    assert "DOS owns what 'dos-ccd' answers, and there is no owners/DOS.csv" in said


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("agency.yaml", "did you mean 'agencies.yaml'?"),
        ("agencies.yml", "did you mean 'agencies.yaml'?"),
        ("owners/DOS.CSV", "an owner's file is called <AGENCY>.csv"),
        ("owners/DOS.txt", "an owner's file is called <AGENCY>.csv"),
        ("owners/dos.csv", "no agency is called 'dos'; did you mean 'DOS'?"),
        ("owners/DOS-EVIL.csv", "no agency is called 'DOS-EVIL'"),
        ("owners/ DOS.csv", "no agency is called ' DOS'"),
        ("owners/D\u041eS.csv", "no agency is called 'D\\u041eS'"),
        ("tests/dos.yaml", "a suite is called <name>_test.yaml"),
        ("tests/DOS_test.yaml", "a suite is called <name>_test.yaml"),
        ("tests/dos_test.yml", "a suite is called <name>_test.yaml"),
        ("owners/DOS.csv~", "an editor left behind"),
        ("owners/.DOS.csv.swp", "an editor left behind"),
        ("owners/#DOS.csv#", "an editor left behind"),
        ("owners/DOS.csv.orig", "an editor left behind"),
        (".DS_Store", "an editor left behind"),
        ("notes.txt", "no file of this name belongs here"),
    ],
)
def test_a_file_that_nobody_reads_is_refused(path: str, reason: str, tmp_path: Path) -> None:
    folder = written(shipped() | {path: b"p, DOS, any, release, any, any, permission, allow\n"}, tmp_path)
    assert reason in refused(folder)


def test_links_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    folder = written(without("owners/FBI.csv"), tmp_path / "policies")
    outside = tmp_path / "outside.csv"
    outside.write_text("p, FBI, any, release, any, any, permission, allow\n")
    (folder / "owners" / "FBI.csv").symlink_to(outside)
    (folder / "owner").mkdir()
    os.mkfifo(folder / "owners" / "DOJ.csv~")
    said = refused(folder)
    assert "owners/FBI.csv:0: this is a symbolic link" in said
    assert "owner:0: unexpected folder; did you mean 'owners'?" in said
    assert "owners/DOJ.csv~:0: this is not a plain file" in said


def test_a_folder_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    assert refused(tmp_path / "policies") == ".:0: there is no such folder"


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(shipped(), tmp_path)

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert "access.csv:0: this cannot be read: Permission denied" in refused(folder)


def test_what_a_process_fetches_by_digest_is_what_was_loaded() -> None:
    # The database gives the paths back in another order.
    files = shipped()
    turned = dict(reversed(files.items()))
    assert digest_of(turned) == digest_of(files)
    assert from_files(turned).share_rows == from_files(files).share_rows


def test_the_digest_covers_names_and_bytes_and_where_one_ends() -> None:
    base = {"a": b"xy", "b": b"z"}
    others = (
        {"a": b"x", "b": b"yz"},
        {"a": b"xyz"},
        {"ab": b"xy", "": b"z"},
        {"a": b"xy", "c": b"z"},
        {"b": b"xy", "a": b"z"},
    )
    digests = {digest_of(files) for files in (base, *others)}
    assert len(digests) == 1 + len(others)


def test_the_page_for_people_is_no_rule(tmp_path: Path) -> None:
    folder = written(shipped(), tmp_path)
    before = load(folder).digest
    (folder / "README.md").write_text("changed")
    assert load(folder).digest == before
    assert "README.md" not in read_folder(folder)


def test_a_bundle_cannot_be_changed() -> None:
    bundle = load(SHIPPED)
    for mapping in (bundle.files, bundle.caveats, bundle.model, bundle.partner_rules):
        with pytest.raises(TypeError):
            mapping["x"] = b""
