"""``broker audit``: verify the log, and print what an owner keeps in order to verify it later."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg import IsolationLevel

from broker.audit.checkpoint import Checkpoint, PublicKey, known_public_keys, read_checkpoint, read_public_keys
from broker.audit.nodes import newest_checkpoint
from broker.audit.report import Report
from broker.audit.verify import verify as verify_log
from broker.cli.connect import connected
from broker.cli.refusals import refusal
from broker.kernel.errors import ConfigurationError
from broker.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="Verify the audit log, and print checkpoints to hold.")

DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", metavar="URL", help="Another database, such as a copy, instead of the service's."),
]
Held = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="FILE", exists=True, dir_okay=False, help="A checkpoint that was kept."),
]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--public-key",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Keys to trust, one a line as `broker audit public-key` prints them, instead of this installation's.",
    ),
]
_NO_AUDIT = "there is none in it, or the role may not read it, or the URL is not one"


@app.command()
def verify(checkpoint: Held = None, database_url: DatabaseUrl = None, public_key: Keys = None) -> None:
    """Compare the log with itself, its signatures and a held checkpoint; JSON on stdout, exit 1 on any fault."""
    settings = load_settings()
    held = _held(checkpoint)
    keys = _public_keys(settings, public_key)
    with _database(settings, database_url) as url:
        report = asyncio.run(_verify(url, keys, held))
    typer.echo(report.model_dump_json(indent=2, exclude_none=True))
    raise typer.Exit(1 if report.faults else 0)


@app.command("checkpoint")
def print_checkpoint(database_url: DatabaseUrl = None) -> None:
    """Print the newest signed checkpoint: keep it outside, and give it to `verify` later."""
    with _database(load_settings(), database_url) as url:
        newest = asyncio.run(_newest(url))
    if newest is None:
        typer.echo("nothing has been sequenced yet, so there is no checkpoint", err=True)
        raise typer.Exit(1)
    typer.echo(newest.text, nl=False)


@app.command("public-key")
def print_public_key() -> None:
    """Print the key that checkpoints are signed with, for those who hold checkpoints."""
    for key in known_public_keys(load_settings().home / "keys"):
        typer.echo(key.text)


async def _verify(url: str, keys: Sequence[PublicKey], held: Checkpoint | None) -> Report:
    async with _snapshot(url) as connection:
        return await verify_log(connection, keys, held)


async def _newest(url: str) -> Checkpoint | None:
    async with _snapshot(url) as connection:
        return await newest_checkpoint(connection)


@asynccontextmanager
async def _snapshot(url: str) -> AsyncIterator["psycopg.AsyncConnection[Any]"]:
    try:
        async with await psycopg.AsyncConnection.connect(url, application_name="broker audit") as connection:
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            yield connection
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        why = refusal(error, url, "--database-url") if isinstance(error, psycopg.OperationalError) else _NO_AUDIT
        raise ConfigurationError(f"the audit of that database cannot be read: {why}") from error


@contextmanager
def _database(settings: Settings, other: str | None) -> Iterator[str]:
    if other is not None:
        yield other.replace("postgresql+psycopg://", "postgresql://", 1)
        return
    with connected(settings) as endpoint:
        # The service's own rights are enough: it may read what it may not change.
        yield endpoint.app_url


def _held(file: Path | None) -> Checkpoint | None:
    if file is None:
        return None
    try:
        return read_checkpoint(file.read_text("utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{file} is not a checkpoint as `broker audit checkpoint` prints it") from error


def _public_keys(settings: Settings, file: Path | None) -> tuple[PublicKey, ...]:
    if file is None:
        return known_public_keys(settings.home / "keys")
    try:
        keys = read_public_keys(file.read_text("utf-8"))
    except ValueError:
        keys = ()
    if not keys:
        raise ConfigurationError(f"{file} does not hold keys as `broker audit public-key` prints them")
    return keys
