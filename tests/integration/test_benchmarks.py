"""The benchmarks still measure what they say, on small registers; how long anything takes is not looked at."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT, environment

pytestmark = [pytest.mark.deep, pytest.mark.processes]


def test_every_benchmark_runs_to_its_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--sizes", "100", "1000", "--write", str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=1_200)
    assert said.returncode == 0, said.stdout[-3_000:] + said.stderr[-3_000:]
    assert {one.name for one in tmp_path.glob("*.json")} == {
        f"bench-{name}.json" for name in ("decision", "search", "depth", "dispatch")
    }
