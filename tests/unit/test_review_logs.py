"""A traceback in the log says where it broke, and not what the variables held: tokens, probes, content."""

import json
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


_AWAY = """
import sys
sys.stderr.isatty = lambda: TERMINAL
from broker.cli.logs import configure_logs
configure_logs()
import logging, psycopg, structlog

for error in (psycopg.OperationalError("gone"), psycopg.errors.LockNotAvailable("held")):
    try:
        raise error
    except psycopg.Error:
        structlog.get_logger().exception("it_failed", work="w")
        logging.getLogger("procrastinate").error("it failed", exc_info=True)
"""


@pytest.mark.parametrize("terminal", ["True", "False"])
def test_an_outage_of_the_database_is_one_line_and_everything_else_has_its_trace(terminal: str) -> None:
    program = _AWAY.replace("TERMINAL", terminal)
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stderr
    first, second, *others = said.splitlines()
    for line in (first, second):
        assert "the database cannot be reached" in line
        assert "gone" not in line
        assert "warning" in line
    assert "".join(others).count("Traceback") == 2
    assert "".join(others).count("LockNotAvailable") == 2


_WARNS = """
import sys
sys.stderr.isatty = lambda: False
from broker.cli.logs import configure_logs
configure_logs()
import warnings
warnings.warn("a library warns")
"""


def test_a_library_s_warning_is_a_line_of_the_log() -> None:
    said = subprocess.run([sys.executable, "-c", _WARNS], cwd=ROOT, capture_output=True, text=True, check=True).stderr
    [line] = said.splitlines()
    assert "a library warns" in json.loads(line)["event"]
