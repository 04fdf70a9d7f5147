"""Where a database is reached, and as whom."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from broker.storage.keys import load_or_create

DATABASE: Final = "broker"
OWNER: Final = "broker_owner"
SERVICE: Final = "broker_app"
BOOTSTRAP: Final = "broker_bootstrap"
"""The superuser that initdb makes; nothing but setting up and tests uses it."""
SOCKET_NUMBER: Final = 5432
"""Only a part of the socket's file name: the server listens on no port."""

# libpq also reads these from the environment, and PGSERVICE or PGHOSTADDR would lead a connection elsewhere.
_LIBPQ_PREFIX: Final = "PG"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``postgresql://`` URLs of one database: as the owner of the schema, and as the service."""

    owner_url: str = field(repr=False)
    app_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The passwords of the embedded database's roles, kept in key files."""

    owner: str = field(repr=False)
    service: str = field(repr=False)
    bootstrap: str = field(repr=False)

    @classmethod
    def load(cls, home: Path) -> Self:
        """Read them from *home*'s key files, made on first use."""
        keys = home / "keys"
        return cls(
            owner=_password(keys / "database-owner.key"),
            service=_password(keys / "database-service.key"),
            bootstrap=_password(keys / "database-bootstrap.key"),
        )

    def endpoint(self, socket_folder: Path) -> Endpoint:
        """Where the server with its socket in *socket_folder* is reached."""
        return Endpoint(
            owner_url=self._url(OWNER, self.owner, DATABASE, socket_folder),
            app_url=self._url(SERVICE, self.service, DATABASE, socket_folder),
        )

    def bootstrap_url(self, socket_folder: Path) -> str:
        """The superuser's way in, to the database ``postgres``."""
        return self._url(BOOTSTRAP, self.bootstrap, "postgres", socket_folder)

    @staticmethod
    def _url(role: str, password: str, database: str, socket_folder: Path) -> str:
        # Every character outside the unreserved ones is quoted, so a folder with a space, a comma or a percent works.
        host = quote(str(socket_folder), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={host}&port={SOCKET_NUMBER}"


def drop_libpq_environment() -> None:
    """Remove the caller's PG* variables from this process: the embedded database is reached by its own URL alone."""
    for name in [name for name in os.environ if name.startswith(_LIBPQ_PREFIX) and name.isupper()]:
        del os.environ[name]


def _password(path: Path) -> str:
    return load_or_create(path, lambda: secrets.token_urlsafe(32).encode()).decode("ascii")
