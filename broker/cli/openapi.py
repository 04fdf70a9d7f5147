"""``broker openapi``: the full statement of the API as a file."""

import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml


def command(
    file: Annotated[Path, typer.Argument(help="where it is written")] = Path("openapi/broker.yaml"),
    *,
    check: Annotated[bool, typer.Option(help="write nothing; exit 1 if the file is not what the code says")] = False,
) -> None:
    """Write openapi/broker.yaml from the routes, or check that it is up to date."""
    from broker.app import bare_app

    text = yaml.safe_dump(bare_app().openapi(), sort_keys=False, allow_unicode=True, width=120)
    if not check:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(f"written: {file}")
        return
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        print(f"{file} is not what the code says; run `broker openapi` and commit it", file=sys.stderr)
        raise typer.Exit(1)
