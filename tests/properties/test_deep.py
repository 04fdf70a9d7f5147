"""The same properties on a hundred thousand random examples each, other ones in every run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.deep
@pytest.mark.parametrize("name", ["lineage", "gate", "coverage"])
def test_on_a_hundred_thousand_examples_each(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / f"test_{name}_properties.py")],
        cwd=HERE.parents[1],
        env={**os.environ, "DEEP_PROPERTIES": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
