"""``broker sample-probes``: drawn images to try the service with."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Final

import typer

from broker.kernel.errors import ConfigurationError

_GROUP: Final = "broker.samples"


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them; made if missing.")],
) -> None:
    """Write drawn probe images: hit-*.jpg are in every stand-in's gallery, stranger-*.jpg in none."""
    found = entry_points(group=_GROUP)
    if not found:
        raise ConfigurationError("no installed package brings sample probes")
    folder.mkdir(parents=True, exist_ok=True)
    for entry in found:
        entry.load()(folder)
    for path in sorted(folder.glob("*.jpg")):
        typer.echo(path)
