"""The database for a command, whichever it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from broker.settings import Settings
from broker.storage.embedded import Endpoint
from broker.storage.embedded import connected as embedded_or_given


@contextmanager
def connected(settings: Settings) -> Iterator[Endpoint]:
    """The outside database of the settings, or the embedded one: attached to, or run for as long as this lasts."""
    with embedded_or_given(settings.home, settings.database_url, settings.owner_database_url) as endpoint:
        yield endpoint


def with_database(settings: Settings, endpoint: Endpoint) -> Settings:
    """The settings with the database filled in, as the service wants them."""
    return settings.model_copy(update={"database_url": endpoint.app_url, "owner_database_url": endpoint.owner_url})
