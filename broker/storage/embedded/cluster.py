"""PostgreSQL's data folder: made once and whole, and the settings that the server is started with."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from broker.kernel.errors import ConfigurationError
from broker.storage.embedded.account import Account
from broker.storage.embedded.binaries import Binaries
from broker.storage.embedded.endpoint import BOOTSTRAP, DATABASE, OWNER, SERVICE, SOCKET_NUMBER, Credentials
from broker.storage.embedded.place import Place

_TAIL: Final = 600
_SERVER: Final = {
    "listen_addresses": "",
    "port": str(SOCKET_NUMBER),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "cluster_name": DATABASE,
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "jit": "off",  # Compiling costs more than it gives for the short statements of this service.
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # A failed statement's text may hold what callers sent; it stays out of the log.
    "log_parameter_max_length_on_error": "0",
}
_NOT_DURABLE: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def major_of(data: Path) -> int | None:
    """The version that made *data*, None if there are none."""
    try:
        return int((data / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def server_settings(socket_folder: Path, *, durable: bool) -> list[str]:
    """Arguments ``-c name=value`` for the server; they hold for data made by any earlier version of the broker."""
    quoted = str(socket_folder).replace('"', '""')
    settings = {**_SERVER, "unix_socket_directories": f'"{quoted}"', **({} if durable else _NOT_DURABLE)}
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def make_cluster(
    place: Place, binaries: Binaries, account: Account, credentials: Credentials, *, durable: bool
) -> None:
    """Make the data folder, the roles and the database. The caller holds the owner's lock.

    All is done aside and renamed into place, so that a start that was killed half-way leaves no half data.
    """
    draft = place.folder / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    account.give(draft)
    _initdb(draft, binaries, account, credentials, durable=durable)
    _roles(draft, binaries, account, credentials, durable=durable)
    draft.rename(place.data)


def _initdb(data: Path, binaries: Binaries, account: Account, credentials: Credentials, *, durable: bool) -> None:
    descriptor, name = tempfile.mkstemp(dir=data.parent)
    password_file = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(credentials.bootstrap)
        account.give(password_file)
        finished = account.run(
            [
                binaries.initdb,
                f"--pgdata={data}",
                f"--username={BOOTSTRAP}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # Sorting by code point, the same on every machine: the C library's own rules change under an index.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
                *([] if durable else ["--no-sync"]),
            ]
        )
    finally:
        password_file.unlink()
    if finished.returncode != 0:
        raise ConfigurationError(
            f"the embedded database cannot be set up in {data}: {finished.stderr.strip()[-_TAIL:]}"
        )


def _roles(data: Path, binaries: Binaries, account: Account, credentials: Credentials, *, durable: bool) -> None:
    # Done by a server of a single process without any socket; it takes one statement a line. Passwords go in by
    # its standard input, where no list of processes shows them; they hold no quote (see endpoint).
    statements = (
        f"CREATE ROLE {OWNER} LOGIN PASSWORD '{credentials.owner}'",
        f"CREATE ROLE {SERVICE} LOGIN PASSWORD '{credentials.service}'",
        f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO {SERVICE}",
        "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC",
    )
    finished = account.run(
        [
            *(binaries.postgres, "--single", "-D", data, "-c", "exit_on_error=true", "-c", "log_min_messages=error"),
            *([] if durable else ["-c", "fsync=off"]),
            "postgres",
        ],
        input="".join(f"{statement};\n" for statement in statements),
    )
    if finished.returncode != 0:
        raise ConfigurationError(f"the embedded database's roles cannot be made: {finished.stderr.strip()[-_TAIL:]}")
