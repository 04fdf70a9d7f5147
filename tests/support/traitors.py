"""What is asked of every test of a rule: that it is not passed when the rule is taken out."""

from collections.abc import Callable
from typing import Any

import pytest


def each_caught(*pairs: tuple[Callable[..., None], Callable[[pytest.MonkeyPatch], None]]) -> pytest.MarkDecorator:
    """Parametrizes a test with `rule` and `broken`: a test, and what takes its rule out."""
    return pytest.mark.parametrize(("rule", "broken"), pairs, ids=lambda one: one.__name__.removeprefix("test_"))


def assert_caught(rule: Callable[..., None], *fixtures: Any) -> None:
    """The test *rule* fails, by an assertion of its own or because something that it expects is not raised."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        rule(*fixtures)
