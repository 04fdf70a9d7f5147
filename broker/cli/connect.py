"""The database for a command, whichever it is: there, and of the shape that this version was written for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import structlog

from broker.cli.refusals import outdated, passes, refusal
from broker.kernel.errors import ConfigurationError
from broker.migrations.shape import is_later, newest
from broker.settings import Settings
from broker.storage.database import conninfo_for
from broker.storage.embedded import Endpoint
from broker.storage.embedded import connected as embedded_or_given

_AGAIN_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


@contextmanager
def connected(settings: Settings, *, patient: bool = False) -> Iterator[Endpoint]:
    """The outside database of the settings, or the embedded one: attached to, or run for as long as this lasts.

    Raises ConfigurationError, which says what is to be done, if it does not answer or needs `broker migrate`.
    """
    with embedded_or_given(settings.home, settings.database_url, settings.owner_database_url) as endpoint:
        check_shape(endpoint, patient=patient)
        yield endpoint


def with_database(settings: Settings, endpoint: Endpoint) -> Settings:
    """The settings with the database filled in, as the service wants them."""
    return settings.model_copy(update={"database_url": endpoint.app_url, "owner_database_url": endpoint.owner_url})


def check_shape(endpoint: Endpoint, *, patient: bool = False) -> None:
    """Raise ConfigurationError if the service cannot work with this database as it is.

    With *patient*, a database that is away is waited for: whoever started this process has found it sound before.
    """
    while True:
        try:
            found = _revision(endpoint.app_url)
            break
        except psycopg.Error as error:
            why = refusal(error, endpoint.app_url, "BROKER_DATABASE_URL")
            if not (patient and passes(error)):
                raise ConfigurationError(why) from error
            _log.warning("database_waited_for", cause=why)
            time.sleep(_AGAIN_SECONDS)
    if is_later(found):
        _log.info("database_has_a_later_shape", found=found, ours=newest())
    elif found != newest():
        raise ConfigurationError(outdated(found, newest()))


def has_policy(endpoint: Endpoint) -> bool:
    """Whether a policy is in force in this database, so that a process need not have a good one of its own."""
    connection: psycopg.Connection[Any]
    with psycopg.connect(conninfo_for(endpoint.app_url)) as connection:
        return connection.execute("SELECT FROM policy_in_force").fetchone() is not None


def _revision(app_url: str) -> str | None:
    # With the service's own limits and role, so that what stands in its way stands in this one's.
    connection: psycopg.Connection[Any]
    with psycopg.connect(conninfo_for(app_url)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            return None  # The service may read it since there is anything to be read in it.
    return None if row is None else str(row[0])
