"""What is asked of every test of a rule: that it is not passed when the rule is taken out."""

from collections.abc import Callable
from typing import Any

import pytest


def assert_caught(rule: Callable[..., None], *fixtures: Any) -> None:
    """The test *rule* fails, by an assertion of its own or because something that it expects is not raised."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        rule(*fixtures)
