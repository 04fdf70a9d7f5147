"""Bringing a database to the newest shape. Several processes may try at once; one does it, the others wait."""

from pathlib import Path
from typing import Any, Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import Connection

from broker.migrations.shape import is_later, newest

_LOCK: Final = 7_226_354_101
"""An advisory lock of our own, so that two starting processes do not migrate at once."""
_log = structlog.get_logger(__name__)


def upgrade(owner_url: str) -> None:
    """Run every migration that has not run yet, as the owner of the schema.

    A database that a later version has brought to its shape is left as it is: this version runs beside that one.
    """
    engine = create_engine(make_url(owner_url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            found = MigrationContext.configure(connection).get_current_revision()
            if is_later(found):
                _log.info("database_has_a_later_shape", found=found, ours=newest())
                return
            command.upgrade(config(connection), "head")
    finally:
        engine.dispose()


def config(connection: Connection) -> Config:
    """Alembic's configuration on an open connection; there is no ini file and no second way to connect."""
    made = Config()
    # Alembic reads its options with interpolation, where a '%' in a path would otherwise mean something.
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    attributes: dict[str, Any] = made.attributes
    attributes["connection"] = connection
    return made
