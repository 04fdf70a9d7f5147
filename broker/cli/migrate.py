"""``broker migrate``: bring the database to the newest shape."""

import psycopg
import typer

from broker.cli.refusals import refusal
from broker.kernel.errors import ConfigurationError
from broker.settings import load_settings
from broker.storage.embedded import Endpoint, connected


def command() -> None:
    """Bring the database to the newest shape, as the role that owns the schema."""
    settings = load_settings()
    with connected(settings.home, settings.database_url, settings.owner_database_url) as endpoint:
        migrate(endpoint)
    typer.echo("the database has the newest shape")


def migrate(endpoint: Endpoint) -> None:
    """Run what has not run yet. Raises ConfigurationError if the role may not, or the database is not there."""
    from sqlalchemy.exc import DBAPIError

    from broker.migrations.run import upgrade

    try:
        upgrade(endpoint.owner_url)
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.Error):
            raise
        one_role = endpoint.owner_url == endpoint.app_url
        setting = "BROKER_DATABASE_URL" if one_role else "BROKER_OWNER_DATABASE_URL"
        raise ConfigurationError(refusal(error.orig, endpoint.owner_url, setting)) from error
