"""Whether a failure says that the database is away."""

from typing import Final

import psycopg

_AWAY: Final = ("08", "57P")
"""SQLSTATEs of a connection that broke, and of a server that is ending or starting."""


def is_outage(error: BaseException) -> bool:
    """Whether *error* says that the database could not be reached, and nothing of what was asked of it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, psycopg.Error):
        cause = cause.__cause__  # SQLAlchemy and the job queue wrap the driver's.
    if not isinstance(cause, psycopg.OperationalError):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(_AWAY)
