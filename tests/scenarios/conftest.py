"""The service that these scenarios call, and one with partners that misbehave."""

from collections.abc import Iterator

import pytest

from tests.scenarios.world import World
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def world(stack: Stack) -> Iterator[World]:
    """The shared service. What one test leaves, the next one finds."""
    return World(stack)
