"""Conventions of the house that no linter knows: each a rule over the tracked files."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400
FORBIDDEN_NAMES = {"utils", "common", "helpers", "manager", "data", "info", "misc"}
MAY_USE_HTTPX = ("broker/transport", "adapters/dos/standin.py", "adapters/vendor/standin.py", "tests/")


@cache
def tracked() -> tuple[str, ...]:
    """Files that are, or are about to be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def of_kind(*endings: str) -> list[str]:
    return [name for name in tracked() if name.endswith(endings)]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_no_file_of_code_is_longer_than_a_reader_can_hold() -> None:
    long = {name: length for name in of_kind(".py", ".sh") if (length := len(text(name).splitlines())) > LONGEST}
    assert long == {}


def test_httpx_is_imported_where_the_wire_is_and_in_tests() -> None:
    found = [
        name
        for name in of_kind(".py")
        if not name.startswith(MAY_USE_HTTPX) and re.search(r"^\s*(import|from) httpx\b", text(name), re.MULTILINE)
    ]
    assert found == []


def test_every_module_says_what_it_is() -> None:
    silent = []
    for name in of_kind(".py"):
        if not name.startswith(("broker/", "adapters/")) or name.startswith("broker/migrations/versions"):
            continue
        if not ast.get_docstring(ast.parse(text(name))):
            silent.append(name)
    assert silent == []


def test_no_module_is_named_after_nothing() -> None:
    named = [name for name in of_kind(".py") if FORBIDDEN_NAMES & set(Path(name).with_suffix("").parts)]
    assert named == []


def test_no_index_host_and_no_path_of_a_machine_is_written_down() -> None:
    """Where packages come from, and where somebody's checkout lies, is not the repository's to say."""
    hosts = re.compile(r"--(extra-)?index-url\s+\S|files\.pythonhosted\.org|pypi\.org/simple|artifactory|nexus\.")
    places = re.compile(r"(?<![\w.])/(?:work|home/\w+|Users/\w+|root)/\w")
    own = "tests/architecture/test_conventions.py"
    found = []
    for name in tracked():
        try:
            content = text(name)
        except UnicodeDecodeError:
            continue
        if name != own and (hosts.search(content) or places.search(content)):
            found.append(name)
    assert found == []


def test_every_decision_record_that_is_named_exists() -> None:
    there = {name.split("/")[-1][:4] for name in tracked() if name.startswith("docs/decisions/")}
    missing = {
        (name, number)
        for name in of_kind(".py", ".md", ".yaml", ".csv", ".toml")
        for number in re.findall(r"(?:ADR[- ]|docs/decisions/|decision record )(\d{4})\b", text(name))
        if number not in there
    }
    assert missing == set()


def test_no_two_decision_records_share_a_number() -> None:
    numbers = [name.split("/")[-1][:4] for name in tracked() if name.startswith("docs/decisions/")]
    assert len(numbers) == len(set(numbers))


def test_every_decision_record_says_how_it_is_checked() -> None:
    silent = [name for name in tracked() if name.startswith("docs/decisions/") and "hecked" not in text(name)]
    assert silent == []


def test_every_file_that_a_page_links_to_exists() -> None:
    links = [(name, target) for name in of_kind(".md") for target in re.findall(r"\]\(([^)#\s]+)", text(name))]
    own = [(name, target) for name, target in links if "://" not in target and not target.startswith("mailto:")]
    broken = [(name, target) for name, target in own if not (ROOT / name).parent.joinpath(target).exists()]
    assert broken == []


def test_every_traitor_s_test_exists() -> None:
    """docs/traitors.md names tests; a renamed one must not leave the page behind."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text("docs/traitors.md"))
    assert len(named) >= 15
    missing = [(path, test) for path, test in named if not (ROOT / path).exists() or f"def {test}(" not in text(path)]
    assert missing == []


def test_every_measurement_is_said_to_be_one() -> None:
    there = {name for name in tracked() if name.startswith("docs/measurements/") and name.endswith(".json")}
    page = text("docs/measurements/README.md")
    assert [name for name in there if Path(name).stem not in page] == []


def test_no_photograph_is_in_the_repository() -> None:
    """Faces are drawn when they are needed; no picture of a real person can slip in."""
    pictures = (".jpg", ".jpeg", ".webp", ".heic", ".gif", ".bmp", ".tif", ".tiff")
    assert of_kind(*pictures) == []


def test_a_service_never_raises_the_edge_s_error() -> None:
    found = [
        name
        for name in of_kind(".py")
        if name.startswith("broker/")
        and not name.startswith("broker/api/")
        and re.search(r"(fastapi|starlette)\S* import .*HTTPException", text(name))
    ]
    assert found == []


def test_replies_have_no_defaults() -> None:
    """A reply that leaves a member out by mistake must fail, not be filled in."""
    found = []
    for name in of_kind(".py"):
        if not name.startswith("broker/api/schemas/"):
            continue
        for node in ast.parse(text(name)).body:
            if not isinstance(node, ast.ClassDef) or not node.name.endswith("Reply"):
                continue
            found += [
                (name, node.name, statement.target.id)
                for statement in node.body
                if isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and statement.value is not None
                and not (
                    isinstance(statement.value, ast.Call)
                    and not any(k.arg == "default" for k in statement.value.keywords)
                )
            ]
    assert found == []


def test_every_schema_of_the_api_has_a_name_of_its_own() -> None:
    """Two of one name are told apart by their modules, and no client can be written from that."""
    assert re.findall(r"schemas/broker__\w+", text("openapi/broker.yaml")) == []
