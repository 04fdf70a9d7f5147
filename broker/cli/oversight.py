"""``broker oversight``: a named report at the command line, recorded like any other reading of it."""

import asyncio
import csv
import getpass
import json
import sys
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from broker.cli.connect import connected
from broker.kernel.errors import ConfigurationError, Invalid
from broker.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from broker.kernel.partner import PartnerEntry
    from broker.storage.unit_of_work import UnitOfWork


_UNTIL = "Day or moment at which it ends, itself not included; a report on how things stood takes a day at its end."


_ANY_WIDTH: Final = 100_000


class Form(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def command(
    name: Annotated[str, typer.Argument(help="Name of the report; `list` prints them all.")],
    since: Annotated[str, typer.Option(help="First day or moment, in UTC.")] = "2017-01-01",
    until: Annotated[str | None, typer.Option(help=_UNTIL)] = None,
    item: Annotated[str | None, typer.Option(help="Id of the item, for a report about one.")] = None,
    form: Annotated[Form, typer.Option("--format")] = Form.TABLE,
) -> None:
    """Answer one of the questions that an oversight body asks."""
    from broker.oversight.queries import QUERIES

    if name == "list":
        for query in QUERIES.values():
            typer.echo(f"{query.name}: {query.definition}")
        return
    # What was mistyped is told before a database is started for it.
    if name not in QUERIES:
        raise ConfigurationError(f"no report is called that; there are {', '.join(sorted(QUERIES))}")
    period = (_beginning(_moment(since, "since")), _moment(until, "until") if until else None)
    settings = load_settings()
    with connected(settings) as endpoint:
        try:
            report = asyncio.run(_run(endpoint.app_url, name, period, item))
        except Invalid as wrong:
            raise ConfigurationError(wrong.detail) from None
    _print(report, form)


async def _run(
    url: str, name: str, period: tuple[datetime, datetime | date | None], item: str | None
) -> dict[str, Any]:
    from broker.audit.events import Actor
    from broker.kernel.clock import SystemClock
    from broker.oversight.queries import QUERIES
    from broker.oversight.reports import Reports
    from broker.storage.database import engine_for
    from broker.storage.unit_of_work import UnitOfWork

    engine = engine_for(url, pool_size=1)
    try:
        work = UnitOfWork(engine)
        reports = Reports(work, SystemClock())
        partners = await _partners(work) if ":verifying" in QUERIES[name].sql else ()
        actor = Actor(sub=f"operator:{getpass.getuser()}", agency="broker", kind="service")
        report = await reports.run(actor, name, *period, None, partners, item)
        return report.model_dump(mode="json")
    finally:
        await engine.dispose()


async def _partners(work: "UnitOfWork") -> "tuple[PartnerEntry, ...]":
    """The register of the policy in force."""
    from broker.policy.activation import fetch, in_force
    from broker.policy.source import from_files

    async with work.begin() as tx:
        digest = await in_force(tx)
        return () if digest is None else from_files(await fetch(tx, digest)).partners


def _print(report: dict[str, Any], form: Form) -> None:
    rows = report["rows"]
    match form:
        case Form.JSON:
            typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        case Form.CSV:
            writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)
        case Form.TABLE:
            _table(report)


def _table(report: dict[str, Any]) -> None:
    from rich.console import Console

    typer.echo(report["definition"])
    typer.echo(f"Records: {report['coverage']['note']}.")
    rows = [{name: "" if value is None else str(value) for name, value in row.items()} for row in report["rows"]]
    if rows:
        lay_out(rows, Console())
    else:
        typer.echo("No rows.")


def lay_out(rows: list[dict[str, str]], console: "Console") -> None:
    """As a table where it fits or nobody looks at a screen; else row by row, for an id cut off is of no use."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(Text, row.values()))
    room = console.options.update(max_width=_ANY_WIDTH)
    needed = console.measure(table, options=room).maximum
    if needed <= console.width or not console.is_terminal:
        console.width = max(needed, console.width)
        console.print(table)
        return
    for row in rows:
        console.rule()
        for name, value in row.items():
            console.print(Text(f"{name}: {value}"), soft_wrap=True)


def _beginning(day: datetime | date) -> datetime:
    return day if isinstance(day, datetime) else datetime.combine(day, time(), UTC)


def _moment(text: str, name: str) -> datetime | date:
    try:
        if len(text) == len("2017-01-01"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--{name} is a day such as 2017-01-01, or a moment with its zone") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
