"""What holds for every test: no setting of the caller's broker reaches one, and real parts are there to be asked for."""

import os
from collections.abc import Generator

import pytest
from _pytest.nodeid import NodeId

from tests.support import postgres as database
from tests.support import shared
from tests.support.postgres import fresh_postgres, postgres, postgres_server
from tests.support.stack import stack

__all__ = ["fresh_postgres", "postgres", "postgres_server", "stack"]

# An outside database for the tests has been taken note of (see support/postgres.py). Anything else that is set for a
# broker of the caller's own must not leak into the processes that tests start.
for _name in [name for name in os.environ if name.upper().startswith("BROKER_")]:
    del os.environ[_name]


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shared.make()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        database.drop_template()
        shared.remove()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            # All tests that share the running service go to one xdist worker, so that it is started once.
            item.add_marker(pytest.mark.xdist_group("stack"))
            item.add_marker(pytest.mark.processes)
    yield
    if config.getoption("loadgroup", default=False):
        for item in items:
            _say_group(item)


def _say_group(item: pytest.Item) -> None:
    # xdist 3.8 appends the group's name to an attribute that pytest 9.2 no longer reads, so its groups are none.
    groups = sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")})
    if groups and "@" not in item.nodeid.rpartition("]")[2]:
        item._id = NodeId.parse(f"{item.nodeid}@{'_'.join(groups)}")
