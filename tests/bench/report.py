"""Tables for people, JSON for programs. Nothing of the machine but its class goes into either."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

_LIBRARIES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "pydantic",
    "sqlalchemy",
    "sqlmodel",
    "psycopg",
    "pycasbin",
    "procrastinate",
)
# A table that is written to a file or a pipe is not squeezed into a terminal's eighty columns.
_console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def say(text: str) -> None:
    """One line of progress."""
    _console.print(f"  {text}")


def ratio(one: float, other: float) -> float:
    """*one* to *other*."""
    return round(one / other, 2) if other else float("nan")


def circumstances(seed: int, server: dict[str, str]) -> dict[str, Any]:
    """Under what the figures were taken."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": _memory_gib(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "postgresql": server,
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def write(folder: Path, name: str, figures: dict[str, Any], text: str) -> None:
    """``bench-<name>.json``, and the tables as ``bench-<name>.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"bench-{name}.json").write_text(
        json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / f"bench-{name}.md").write_text(text, encoding="utf-8")


def show(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A table on the terminal."""
    table = Table(*header, title=title, title_justify="left", box=SIMPLE)
    for row in rows:
        table.add_row(*row)
    _console.print(table)


def markdown(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """The same table for a document."""
    lines = [f"### {title}", "", f"| {' | '.join(header)} |", f"|{'|'.join(' --- ' for _ in header)}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n\n"


def preamble(title: str, figures: dict[str, Any]) -> str:
    """What stands above the tables of a document."""
    machine, server = figures["machine"], figures["postgresql"]
    return (
        f"# {title}\n\n"
        f"{figures['date']}, seed {figures['seed']}; {machine['cores']} × {machine['processor']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}, PostgreSQL {server['server_version']} "
        f"(fsync {server['fsync']}, synchronous_commit {server['synchronous_commit']}), uvicorn in one process, "
        f"client and server on the same cores; load average {figures['load_average_at_start']} before and {figures['load_average_at_end']} at the end.\n"
        "Medians of rounds that took turns. Made by `make bench`; the same figures as JSON lie beside this file.\n\n"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
