"""The commands, and the page that teaches authors: every example on it is run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from broker.cli.policy import app
from tests.support.policy_files import SHIPPED, appended, at_partner, shipped, written

README = (SHIPPED / "README.md").read_text()
_BLOCK = re.compile(r"^```(\w+)(?: (file|append)=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a copy of the policies, as an author stands in it."""
    written(shipped(), tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> tuple[int, str]:
    program, group, *arguments = shlex.split(command)
    assert (program, group) == ("broker", "policy")
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_check_says_what_it_read(here: Path) -> None:
    code, said = run("broker policy check policies")
    assert code == 0
    assert re.fullmatch(r"policies: [0-9]+ files, [0-9]+ rows, [0-9]+ suites pass, digest sha256:[0-9a-f]{64}\n", said)


def test_check_without_a_folder_takes_the_settings_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "policies").rename(here / "elsewhere")
    assert run("broker policy check")[0] == 1
    monkeypatch.setenv("BROKER_POLICIES", str(here / "elsewhere"))
    assert run("broker policy check")[0] == 0


def test_check_names_file_line_and_reason_and_exits_1(here: Path) -> None:
    written(appended("owners/DOS.csv", "p, DOS, fbi, release, any, any, permission, allow"), here / "policies")
    assert run("broker policy check policies") == (
        1,
        "policies/owners/DOS.csv:11: unknown recipient 'fbi'; did you mean 'FBI'?\n",
    )


def test_check_names_a_partner_whose_adapter_is_not_installed_here(here: Path) -> None:
    written(at_partner("dos-ccd", "adapter: dos", "adapter: dso"), here / "policies")
    line = (here / "policies" / "partners.yaml").read_text().splitlines().index("- id: dos-ccd") + 1
    code, said = run("broker policy check policies")
    expected = f"policies/partners.yaml:{line}: 'dos-ccd': no installed package has the adapter 'dso'; installed: "
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith(expected)
    # Reading and trying the rules takes no adapter.
    assert run("broker policy test policies")[0] == 0


def test_test_counts_the_rows_tried(here: Path) -> None:
    code, said = run("broker policy test policies")
    assert code == 0
    tried = re.search(r"([0-9]+) of \1 rows decided at least one of them", said)
    assert tried is not None
    written(
        appended("owners/DOS.csv", "p, DOS, FBI, release, threat_to_life, count, nothing, allow"), here / "policies"
    )
    code, said = run("broker policy test policies")
    assert code == 1
    assert f"{tried[1]} of {int(tried[1]) + 1} rows" in said
    assert "policies/owners/DOS.csv:11: no case in tests/ is decided by this row" in said


def test_explain_shows_every_row_and_why_it_does_not_speak(here: Path) -> None:
    code, said = run(
        "broker policy explain --owner CBP --recipient FBI --action release --purpose criminal_investigation --item-kind lead"
    )
    assert code == 0
    assert "No, not as asked: the owner's permission is needed." in said
    assert "with it, allowed by owners/CBP.csv:12" in said
    assert "standing permission: allow" in said
    assert "recipient DHS, ICE, ICE-HSI, ICE-ERO: allow" in said
    assert "does not speak to it: recipient is within:DHS" in said


def test_explain_says_of_an_owner_without_a_file_that_it_has_none(here: Path) -> None:
    (here / "policies" / "owners" / "FBI.csv").unlink()
    suite = here / "policies" / "tests" / "default_is_ask_test.yaml"
    asked = yaml.safe_load(suite.read_text())
    asked["tables"] = [table for table in asked["tables"] if table["owner"] != "FBI"]
    suite.write_text(yaml.safe_dump(asked))
    code, said = run(
        "broker policy explain --owner FBI --recipient DOS --action view --purpose criminal_investigation --item-kind lead"
    )
    assert code == 0
    assert "there is no owners/FBI.csv" in said
    assert "No, with or without the owner's permission. (deny)" in said


def test_explain_names_every_reason_against_a_search(here: Path) -> None:
    code, said = run(
        "broker policy explain --search --with partner=dos-ccd --with training=lapsed --with prior_methods=false"
        " --with evidentiary_basis=none --with edits=cropped,rotated --with max_candidates=50"
    )
    assert code == 0
    for reason in ("training_lapsed", "basis_below_floor", "prior_methods_missing"):
        assert f"  {reason}: " in said
    assert "No, for 3 reasons:" in said
    assert "requester (DHS): accepted  searches.csv:5" in said
    assert "Yes." in run("broker policy explain --search --with exigent=true --with prior_methods=false")[1]


def test_explain_says_of_a_partner_that_is_switched_off_that_it_is(here: Path) -> None:
    asked = "broker policy explain --search --with partner=dos-ccd"
    assert "Yes." in run(asked)[1]
    assert "partner_not_approved: dos-ccd is not approved" in run(f"{asked} --with approved=no")[1]
    written(at_partner("dos-ccd", "approved: true", "approved: false"), here / "policies")
    assert "partner_not_approved: dos-ccd is not approved" in run(asked)[1]
    assert "Yes." in run(f"{asked} --with approved=yes")[1]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("partner=dos", "unknown partner 'dos'; did you mean 'dos-ccd'?"),
        ("purpose=crime", "unknown purpose 'crime'"),
        ("requester=ice", "unknown requester 'ice'; did you mean 'ICE'?"),
        ("basis=none", "unknown word 'basis'"),
        ("training", "'training' is not WORD=VALUE"),
        (
            "colour=blue",
            "unknown word 'colour'; known: partner, role, requester, training, enrolled, case, predicate, ",
        ),
        ("evidentiary_basis=suspicion", "evidentiary_basis: input should be 'none'"),
        ("exigent=maybe", "exigent: input should be a valid boolean"),
        ("max_candidates=many", "max_candidates: input should be a valid integer"),
    ],
)
def test_explain_does_not_guess_at_searches(here: Path, told: str, reason: str) -> None:
    code, said = run(f"broker policy explain --search --with {told}")
    assert code == 2
    assert reason in said


def test_explain_wants_a_whole_question(here: Path) -> None:
    assert run("broker policy explain --owner CBP")[0] == 2
    question = "--owner CBP --recipient FBI --action release --purpose threat_to_life --item-kind lead"
    assert run(f"broker policy explain {question} --made yesterday")[0] == 2


def test_explain_does_not_guess_at_words_it_does_not_know(here: Path) -> None:
    code, said = run(
        "broker policy explain --owner dos --recipient FBI --action release --purpose crime --item-kind lead"
    )
    assert code == 2
    assert "unknown owner 'dos'; did you mean 'DOS'?" in said
    assert "unknown purpose 'crime'" in said


# --- policies/README.md


def _steps(block: re.Match[str]) -> Iterator[tuple[str, list[str]]]:
    """Commands of a console block with the lines shown after each."""
    for part in block.group(4).split("$ ")[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        yield command, shown


def _shows(shown: list[str], said: str) -> bool:
    pattern = "\n".join(shown)
    # An ellipsis alone on the last line stands for everything more, inside a line for a part of it.
    tail = "(\n.*)?" if shown[-1] == "…" else "\n"
    body = "\n".join(shown[:-1]) if shown[-1] == "…" else pattern
    return re.fullmatch(re.escape(body).replace("…", "[^\n]*") + tail, said, re.DOTALL) is not None


def test_the_lesson_for_authors_happens_as_it_is_told(here: Path) -> None:
    told = 0
    for block in _BLOCK.finditer(README):
        kind, how, path, text = block.groups()
        target = here / "policies" / (path or "")
        if how == "file":
            target.write_text(text)
        elif how == "append":
            target.write_text(target.read_text() + text)
        elif kind == "console":
            for command, shown in _steps(block):
                code, said = run(command)
                assert _shows(shown, said), (
                    f"{command}\n--- the page shows\n{shown}\n--- the command says ({code})\n{said}"
                )
                told += 1
    assert told == 10


def test_the_mistakes_on_the_page_are_answered_as_it_says() -> None:
    faulty = next(block.group(4) for block in _BLOCK.finditer(README) if block.group(1) == "faults")
    pairs = re.findall(r"^(p,.*)\n    (.*)$", faulty, re.MULTILINE)
    assert len(pairs) == 10
    from tests.support.policy_files import faults_of

    for row, reason in pairs:
        # The page shows the first; a wildcard is told of each purpose that it must not reach.
        assert faults_of(appended("owners/DOS.csv", row))[0] == f"owners/DOS.csv:11: {reason}"


def test_the_page_names_every_file_and_every_word() -> None:
    from broker.kernel.words import Action, ItemKind
    from broker.policy.bundle import Effect, Needs, ThirdPartyDefault
    from broker.policy.search_question import SearchRule
    from broker.policy.source import SINGLE

    for word in (*SINGLE, *Action, *ItemKind, *Needs, *Effect, *ThirdPartyDefault, *SearchRule):
        assert f"`{word}`" in README, word
