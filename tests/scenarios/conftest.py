"""The service that these scenarios call, and one whose partners are not to be relied on."""

import json
from collections.abc import Iterator

import pytest

from tests.scenarios.fake_partner import FakePartner
from tests.scenarios.world import World
from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="session")
def world(stack: Stack) -> World:
    """The shared service. What one test leaves, the next one finds."""
    return World(stack)


@pytest.fixture(scope="session")
def fake() -> Iterator[FakePartner]:
    """CBP's place is taken by a partner that does what a test tells it."""
    with FakePartner().answering() as partner:
        yield partner


@pytest.fixture(scope="session")
def uneasy(fake: FakePartner) -> Iterator[World]:
    """A service of its own: CBP's system is the fake one, and DOS answers by callback only."""
    with running_stack(
        BROKER_PARTNER_URLS=json.dumps({"cbp-atsp": fake.url}),
        PARTNER_ANSWER_BY="callback",
        PARTNER_DELAY_SECONDS="0.2",
    ) as stack:
        yield World(stack)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "uneasy" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("uneasy"))
            item.add_marker(pytest.mark.processes)
