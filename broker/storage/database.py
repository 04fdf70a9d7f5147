"""The engine over PostgreSQL. The service always works as the role ``broker_app``, which owns nothing."""

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

SERVICE_ROLE = "broker_app"


def engine_for(url: str, *, pool_size: int = 20) -> AsyncEngine:
    """An engine on *url* (``postgresql://…``). A login other than ``broker_app`` steps down to it at connect.

    Statements carry no cached row counts and sessions keep UTC, so that what is read equals what was written.
    """
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    options = "-c timezone=UTC"
    if parsed.username != SERVICE_ROLE:
        options += f" -c role={SERVICE_ROLE}"
    return create_async_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": options, "application_name": "broker"},
    )
