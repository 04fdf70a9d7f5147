"""``broker migrate``: bring the database to the newest shape."""

import typer

from broker.cli.connect import connected
from broker.kernel.errors import ConfigurationError
from broker.settings import load_settings
from broker.storage.embedded import Endpoint


def command() -> None:
    """Bring the database to the newest shape, as the role that owns the schema."""
    with connected(load_settings()) as endpoint:
        migrate(endpoint)
    typer.echo("the database has the newest shape")


def migrate(endpoint: Endpoint) -> None:
    """Run what has not run yet. Raises ConfigurationError if the role may not, or the database is not there."""
    from sqlalchemy.exc import DBAPIError

    from broker.migrations.run import upgrade

    try:
        upgrade(endpoint.owner_url)
    except DBAPIError as error:
        # The driver's text may hold the statement; its class says enough, and the database's own log has the rest.
        raise ConfigurationError(
            f"the database cannot be brought to the newest shape ({type(error.orig).__name__}); is it running, and does "
            "BROKER_OWNER_DATABASE_URL (or else BROKER_DATABASE_URL) name the role that owns it?"
        ) from error
