"""The page on writing an adapter is true: its code is run as it stands."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from pydantic import TypeAdapter

from broker.api.schemas.searches import SearchBody
from broker.kernel.partner import PartnerEntry
from broker.partners.contract import FailureKind
from tests.support.outside import PAGE, of, write_package


@pytest.fixture
def package(tmp_path):
    return write_package(tmp_path)


def run_tests(folder, *options):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options, "county"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_every_python_example_says_which_file_it_is():
    assert len(of("python")) == 4
    assert all(text.startswith("# file: county/") for text in of("python"))


def test_the_examples_conform_as_they_stand(package):
    ran = run_tests(package)
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"\b18 passed", ran.stdout)


def test_the_pages_own_suite_catches_a_change_for_the_worse(package):
    path = package / "county" / "adapter.py"
    code = path.read_text("utf-8")
    worse = code.replace("return Failed(kind=FailureKind.MALFORMED_REPLY)", "return NoHit()")
    assert worse != code
    path.write_text(worse, "utf-8")
    ran = run_tests(package, "-k", "types")
    assert ran.returncode == 1
    assert "test_the_county_conforms[types_garbage]" in ran.stdout


def test_the_entry_points_name_what_the_examples_define():
    (text,) = of("toml")
    project = tomllib.loads(text)["project"]
    assert {"name", "version"} <= project.keys()  # Without them no installer takes the package.
    points = project["entry-points"]
    assert points["broker.adapters"] == {"county": "county.adapter:CountyAdapter"}
    assert points["broker.standins"] == {"county-residents": "county.standin:build"}


def test_the_row_of_the_register_is_one():
    (text,) = of("yaml")
    (row,) = yaml.safe_load(text)
    entry = TypeAdapter(PartnerEntry).validate_json(json.dumps(row, default=str))
    assert (entry.id, entry.adapter) == ("county-residents", "county")


def test_the_search_that_the_page_sends_is_in_order():
    (script,) = (text for text in of("sh") if "request.json" in text)
    sent = re.search(r"<<END\n(.*?)\nEND\n", script, re.DOTALL)
    assert sent is not None
    SearchBody.model_validate_json(sent[1].replace("$case", "cas_" + "a" * 26))


def test_every_failure_that_the_page_explains_exists():
    table = PAGE[PAGE.index("## When it does not work") :]
    named = set(re.findall(r"`([a-z_]+)`", table.split("|---|---|")[1])) - {"path_segment"}
    assert named <= {kind.value for kind in FailureKind}
