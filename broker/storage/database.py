"""The database's connections. The service always works as the role ``broker_app``, which owns nothing.

A network that loses every packet says nothing, so each connection carries its own limits: what is sent and not
acknowledged within seconds breaks it on our side, and the server, told so at connect, lets go of our locks as soon.
"""

from typing import Any, Final

from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

SERVICE_ROLE = "broker_app"
_POOL_SECONDS: Final = 10.0
"""How long an act waits for a connection of the pool."""
_OUR_SIDE: Final[dict[str, Any]] = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
}
"""Seconds, and milliseconds for the last. On a socket of this machine they are of no effect."""
_THEIR_SIDE: Final = (
    "-c timezone=UTC -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    " -c tcp_user_timeout=10000 -c idle_in_transaction_session_timeout=60000"
)
"""The same for the server's end: a host that is cut off in the middle of an act must not hold its locks for hours."""


def engine_for(url: str, *, pool_size: int = 20) -> AsyncEngine:
    """An engine on *url* (``postgresql://…``). A login other than ``broker_app`` steps down to it at connect.

    Statements carry no cached row counts and sessions keep UTC, so that what is read equals what was written.
    """
    return create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": _options(url), "application_name": "broker", **_OUR_SIDE},
    )


def conninfo_for(url: str) -> str:
    """The same for whoever holds connections of their own: the jobs, and who listens."""
    return make_conninfo(url, options=_options(url), application_name="broker", **_OUR_SIDE)


def _options(url: str) -> str:
    stepping_down = "" if make_url(url).username == SERVICE_ROLE else f" -c role={SERVICE_ROLE}"
    return _THEIR_SIDE + stepping_down
