"""A traceback in the log says where it broke, and not what the variables held: tokens, probes, content."""

import subprocess
import sys

import pytest

from tests.support.programs import ROOT

_PROGRAM = """
import sys
sys.stderr.isatty = lambda: TERMINAL
from broker.cli.logs import configure_logs
configure_logs()
import logging, structlog

def broke():
    content = {"candidates": [{"reference": "CANARY"}]}
    raise ValueError("it broke")

try:
    broke()
except ValueError as error:
    structlog.get_logger().error("request_broke", exc_info=error)
    logging.getLogger("procrastinate").error("job failed", exc_info=True)
"""


@pytest.mark.parametrize("terminal", ["True", "False"])
def test_no_variable_of_a_frame_is_logged(terminal: str) -> None:
    program = _PROGRAM.replace("TERMINAL", terminal).replace('"CANARY"', '"CAN" + "ARY"')
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stderr
    assert "it broke" in said
    assert said.count("ValueError") == 2
    assert "CANARY" not in said
