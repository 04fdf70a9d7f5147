"""Why a database does not serve, in one line for an operator: no password, and no word of the driver's."""

import re
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

_MIGRATE: Final = "run `broker migrate` with the URL of the role that owns it (BROKER_OWNER_DATABASE_URL)"
_TEXTS: Final = (
    # The server says no more than a text while a connection is being made; what comes first decides.
    (r"password authentication failed|no password supplied", "wrong_password"),
    (r"no pg_hba\.conf entry", "not_let_in"),
    (r'role "broker_app" does not exist', "not_migrated"),
    (r"permission denied to set role", "no_stepping_down"),
    (r'database ".*" does not exist', "no_database"),
    (r"does not support SSL", "no_tls"),
    (r"certificate|SSL|sslmode|sslrootcert", "untrusted"),
    (r"too many clients|connection slots|too many connections", "full"),
    (r"is starting up|is shutting down|in recovery mode", "starting"),
    (r"resolve host|translate host name", "no_host"),
    (r"Connection refused|timeout|timed out|No such file|unreachable|is the server running", "nothing_there"),
)
_SAID: Final = {
    "wrong_password": "the database at {place} does not accept the password of the role {user} in {setting}",
    "not_let_in": "the database at {place} does not let the role {user} in from here (its pg_hba.conf); see {setting}",
    "not_migrated": "the database {name} at {place} has no shape yet; " + _MIGRATE,
    "no_stepping_down": "the role {user} in {setting} may not step down to broker_app; GRANT broker_app TO {user}",
    "no_database": "there is no database {name} at {place}; see {setting}",
    "no_tls": "the database at {place} has no TLS, which {setting} asks for (sslmode=)",
    "untrusted": "the certificate of the database at {place} cannot be verified; "
    "name the file of who issued it in {setting}: sslrootcert=",
    "full": "the database at {place} takes no more connections (max_connections)",
    "starting": "the database at {place} is starting or ending; try again",
    "no_host": "the host in {setting} has no address: {place}",
    "nothing_there": "nothing answers at {place}; is the database running, and is {setting} right?",
    "no_right": "the role {user} in {setting} may not change the shape of the database {name}: it has to own it; "
    + _MIGRATE,
}


_PASSING: Final = frozenset({None, "full", "starting", "no_host", "nothing_there"})


def passes(error: psycopg.Error) -> bool:
    """Whether what *error* says may be over without anybody changing a setting."""
    return _kind(error) in _PASSING


def refusal(error: psycopg.Error, url: str, setting: str) -> str:
    """The line for *error*, which came of the database at *url*, as the setting of that name has it."""
    known = _kind(error)
    words = _words(url) | {"setting": setting}
    if known is None:
        return "the database at {place} does not serve ({kind}); its own log has the reason".format(
            **words, kind=type(error).__name__
        )
    return _SAID[known].format(**words)


def outdated(found: str | None, wanted: str) -> str:
    """The line for a database whose shape is older than what this version wants."""
    has = "no shape yet" if found is None else f"the shape {found}"
    return f"the database has {has}, and this version wants {wanted}; {_MIGRATE}"


def _kind(error: psycopg.Error) -> str | None:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "no_right"
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return "nothing_there"
    said = str(error)
    return next((kind for pattern, kind in _TEXTS if re.search(pattern, said, re.IGNORECASE)), None)


def _words(url: str) -> dict[str, str]:
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        parts = {}
    host, port = parts.get("host") or "this machine", parts.get("port") or 5432
    place = f"{host}:{port}" if not str(host).startswith("/") else f"the socket in {host}"
    return {"place": place, "user": str(parts.get("user", "")), "name": str(parts.get("dbname", ""))}
