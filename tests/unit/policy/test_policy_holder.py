"""Reloading: the last good policy stays, an alarm is raised once, and a cold start without a good one fails."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.kernel.clock import FixedClock
from broker.kernel.errors import ConfigurationError
from broker.kernel.ids import AgencyId, PurposeId
from broker.kernel.words import Action, ItemKind
from broker.policy import snapshot
from broker.policy.faults import PolicyInvalid
from broker.policy.holder import Policies
from broker.policy.question import PolicyEngineFailure, ShareQuestion, Standing
from broker.policy.source import digest_of, read_folder
from tests.support.policy_files import shipped, written

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUESTION = ShareQuestion(
    owner=AgencyId("CBP"),
    recipient=AgencyId("ICE-ERO"),
    action=Action.RELEASE,
    purpose=PurposeId("criminal_investigation"),
    item_kind=ItemKind.LEAD,
    standing=Standing.NONE,
)
NARROWED = "p, CBP, within:DHS, release, under:criminal_investigation"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(shipped(), tmp_path / "policies")


@pytest.fixture
def policies(folder: Path) -> Policies:
    return Policies(folder, FixedClock(NOW))


def change(folder: Path, path: str, old: str, new: str) -> None:
    text = (folder / path).read_text()
    assert old in text
    (folder / path).write_text(text.replace(old, new))


def say_more(folder: Path, words: str) -> None:
    (folder / "owners" / "DOS.csv").write_bytes(shipped()["owners/DOS.csv"] + f"# {words}\n".encode())


def test_a_cold_start_without_a_good_policy_does_not_start(folder: Path, tmp_path: Path) -> None:
    change(folder, "owners/DOS.csv", "permission, allow", "permission, Allow")
    with pytest.raises(PolicyInvalid):
        Policies(folder, FixedClock(NOW))
    with pytest.raises(ConfigurationError):
        Policies(tmp_path / "nowhere", FixedClock(NOW))


def test_a_good_change_takes_the_place_of_the_old_as_a_whole(folder: Path, policies: Policies) -> None:
    before = policies.current
    say_more(folder, "agreed")
    assert policies.reload()
    assert policies.current is not before
    assert policies.current.digest == digest_of(read_folder(folder)) != before.digest
    assert policies.current.loaded_at == NOW
    # A decision under way keeps what it began with, and both are known by their digest.
    assert before.engine.ask(QUESTION)
    assert policies.snapshot_for(before.digest) is before
    assert policies.snapshot_for(policies.current.digest) is policies.current
    assert policies.snapshot_for("sha256:unknown") is None


def test_nothing_is_built_while_nothing_has_changed(policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.policy.holder.prepare", lambda *_: pytest.fail("built again"))
    for _ in range(3):
        assert not policies.reload()


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        ("owners/DOS.csv", "permission, allow", "permission, Allow", "unknown eft"),
        ("owners/CBP.csv", "within:DHS", "within:DSH", "unknown recipient"),
        ("owners/CBP.csv", NARROWED, "# " + NARROWED, "expected allow, and the answer is needs_permission"),
        ("agencies.yaml", "- id: CBP", "- id: CBX", "no agency is called 'CBP'"),
        ("model.conf", "e = some(where (p.eft == allow)) && !some", "e = !some", "'e' must read"),
        ("partners.yaml", "owner: DOS", "owner: CBP\n  owner: DOS", "stands here twice"),
    ],
)
def test_a_bad_change_leaves_the_last_good_policy_and_raises_one_alarm(
    folder: Path, policies: Policies, path: str, old: str, new: str, reason: str
) -> None:
    before = policies.current
    change(folder, path, old, new)
    with capture_logs() as logs:
        assert not policies.reload()
        assert not policies.reload()
    assert policies.current is before
    assert policies.current.engine.ask(QUESTION)
    assert policies.last_error is not None
    assert reason in policies.last_error.detail
    assert policies.last_error.at == NOW
    assert policies.last_error.faults
    assert [(log["event"], log["alarm"]) for log in logs] == [("policy_not_loaded", True)]
    # Put right again, it is quiet again.
    change(folder, path, new, old)
    assert not policies.reload()
    assert policies.last_error is None


def test_a_folder_that_vanishes_or_a_file_left_behind_is_reported_once(folder: Path, policies: Policies) -> None:
    before = policies.current
    (folder / "owners" / "DOS.csv~").write_text("x")
    with capture_logs() as logs:
        assert not policies.reload()
        assert not policies.reload()
    assert len(logs) == 1
    folder.rename(folder.with_name("elsewhere"))
    assert not policies.reload()
    assert policies.current is before
    assert policies.last_error is not None
    assert "no such folder" in policies.last_error.detail


def test_traitor_a_reload_that_would_leave_an_empty_policy_is_caught(
    folder: Path, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that loses all rows: Casbin without a row allows a question of empty fields, and everything under some effects."""
    from dataclasses import replace

    honest = snapshot.from_files
    for lost in ({"share_rows": ()}, {"access_rows": ()}):
        monkeypatch.setattr(snapshot, "from_files", lambda files, lost=lost: replace(honest(files), **lost))
        say_more(folder, f"change {lost}")
        before = policies.current
        assert not policies.reload()
        assert policies.current is before


def test_whatever_breaks_while_building_the_old_policy_stays(
    folder: Path, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr("broker.policy.holder.prepare", breaks)
    say_more(folder, "more")
    before = policies.current
    assert not policies.reload()
    assert policies.current is before
    assert policies.last_error is not None
    assert policies.last_error.detail == "MemoryError"
    # That was no fault of the files, so they are tried again; and one alarm was enough.
    with capture_logs() as logs:
        assert not policies.reload()
    assert logs == []
    monkeypatch.undo()
    assert policies.reload()
    assert policies.last_error is None


def test_an_agency_that_is_removed_with_its_rules_gets_and_gives_nothing(folder: Path, policies: Policies) -> None:
    (folder / "owners" / "VENDOR-EX.csv").unlink()
    change(
        folder,
        "agencies.yaml",
        "- id: VENDOR-EX\n  title: Example Vendor\n  address: 100 Market Lane, Exampleville\n",
        "",
    )
    suite = (folder / "tests" / "default_is_ask_test.yaml").read_text()
    start = suite.index("  - name: VENDOR-EX without")
    end = suite.index("  - name: CONTRACTOR-EX without")
    (folder / "tests" / "default_is_ask_test.yaml").write_text(suite[:start] + suite[end:])
    change(folder, "tests/cbp_test.yaml", ", VENDOR-EX]", "]")
    change(folder, "tests/dos_test.yaml", ", VENDOR-EX]", "]")
    change(folder, "tests/third_party_default_test.yaml", "VENDOR-EX,", "")
    ground = '  ground: "The third-party rule, as nothing else has been agreed (invented)"\n'
    entry = "- owner: VENDOR-EX\n  default: ask_unless_freed\n  from: 2020-01-01\n" + ground
    change(folder, "defaults.yaml", entry, "")
    # Its system has gone over to somebody else.
    owned = "  owner: VENDOR-EX\n  custodian: VENDOR-EX\n"
    change(folder, "partners.yaml", owned, owned.replace("VENDOR-EX", "STATE-EX"))
    assert policies.reload(), policies.last_error
    engine = policies.current.engine
    for update in ({"recipient": "VENDOR-EX"}, {"owner": "VENDOR-EX", "recipient": "ICE-HSI"}):
        for standing in Standing:
            assert not engine.ask(QUESTION.model_copy(update={**update, "standing": standing}))


def test_only_a_few_recent_policies_are_kept(folder: Path, policies: Policies) -> None:
    digests = [policies.current.digest]
    for number in range(5):
        say_more(folder, str(number))
        assert policies.reload()
        digests.append(policies.current.digest)
    known = [digest for digest in digests if policies.snapshot_for(digest) is not None]
    assert known == digests[-4:]


def test_a_policy_that_another_process_loaded_is_built_from_its_files(folder: Path, policies: Policies) -> None:
    files = shipped()
    files["owners/DOS.csv"] += b"# elsewhere\n"
    digest = digest_of(files)
    own = policies.current
    adopted = policies.adopt(digest, files)
    assert adopted.digest == digest
    assert policies.adopt(digest, {}) is adopted
    assert policies.current is own


def test_files_that_are_not_those_of_the_digest_are_not_adopted(policies: Policies) -> None:
    files = shipped()
    digest = digest_of(files | {"owners/DOS.csv": files["owners/DOS.csv"] + b"# x\n"})
    with capture_logs() as logs, pytest.raises(PolicyEngineFailure):
        policies.adopt(digest, files)
    assert [log["alarm"] for log in logs] == [True]
    bad = files | {"owners/DOS.csv": b"# nothing\n"}
    with pytest.raises(PolicyEngineFailure):
        policies.adopt(digest_of(bad), bad)


def test_questions_asked_during_reloads_are_answered_by_one_whole_policy(folder: Path, policies: Policies) -> None:
    """Two policies that differ in two rows; no question may see one row of each."""
    other = QUESTION.model_copy(update={"recipient": "ICE-HSI"})
    done = threading.Event()
    mixed: list[object] = []

    def ask() -> None:
        while not done.is_set():
            engine = policies.current.engine
            if bool(engine.ask(QUESTION)) is not bool(engine.ask(other)):
                mixed.append(policies.current.digest)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(4):
            say_more(folder, f"version {number}")
            assert policies.reload()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert mixed == []
