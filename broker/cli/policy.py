"""``broker policy``: what an author of rules needs, and of these only `activate` needs a database."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from broker.kernel.ids import AgencyId, PurposeId
from broker.kernel.words import Action, ItemKind
from broker.policy import explanation, search_explanation, suite
from broker.policy.engine import PolicyEngine
from broker.policy.faults import PolicyInvalid
from broker.policy.question import ShareQuestion, Standing
from broker.policy.snapshot import PolicySnapshot, prepare
from broker.policy.source import load, read_folder

app = typer.Typer(no_args_is_help=True, help="Check, test and explain the rules in a policies folder.")

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[DIR]", help="The policies folder; BROKER_POLICIES or ./policies without it."),
]


_WITH = "One word of the search, as WORD=VALUE; may be repeated. The words are those of the suites."


@app.command()
def check(folder: Folder = None) -> None:
    """Read every file strictly and run the suites; exit 1 with file:line: reason for each fault."""
    where = _folder(folder)
    loaded = _servable(where)
    typer.echo(
        f"{where}: {len(loaded.bundle.files)} files, {loaded.bundle.rows} rows, "
        f"{len(loaded.bundle.suites)} suites pass, digest {loaded.digest}"
    )


@app.command("test")
def run_suites(folder: Folder = None) -> None:
    """Run the suites and show which rows they tried; exit 1 on a wrong answer or a row that no case tried."""
    where = _folder(folder)
    try:
        bundle = load(where)
        report = suite.run(PolicyEngine(bundle), bundle)
    except PolicyInvalid as invalid:
        _refuse(where, invalid)
    for found in bundle.suites:
        wrong = sum(failure.file == found.file for failure in report.failures)
        cases = len(found.shares) + len(found.roles) + len(found.searches) + len(found.defaults)
        typer.echo(f"{where / found.file}: {found.title}: {cases} cases, {wrong or 'none'} wrong")
    covered = report.rows - len(report.uncovered)
    typer.echo(f"{report.questions} questions asked; {covered} of {report.rows} rows decided at least one of them")
    if report.faults:
        _refuse(where, PolicyInvalid(report.faults))


@app.command()
def explain(
    *,
    owner: Annotated[str | None, typer.Option(help="Whose item: an agency, exactly.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Who wants it: an agency, exactly.")] = None,
    action: Annotated[Action | None, typer.Option()] = None,
    purpose: Annotated[str | None, typer.Option(help="A purpose, exactly.")] = None,
    item_kind: Annotated[ItemKind | None, typer.Option()] = None,
    standing: Annotated[Standing, typer.Option(help="With what the recipient comes.")] = Standing.NONE,
    made: Annotated[str, typer.Option(help="The day on which the item came into being; today without it.")] = "",
    decided: Annotated[str, typer.Option(help="The day of the decision; today without it.")] = "",
    caveat: Annotated[list[str] | None, typer.Option(help="A caveat on the item; may be repeated.")] = None,
    search: Annotated[bool, typer.Option("--search", help="Explain a search instead, described by --with.")] = False,
    told: Annotated[list[str] | None, typer.Option("--with", help=_WITH)] = None,
    folder: Folder = None,
) -> None:
    """Say how a question is answered, by which row, and what would change the answer.

    With --search: why a search would or would not be sent to a partner. It is one that is in order but for what --with
    says of it, e.g. --with partner=dos-ccd --with evidentiary_basis=none.
    """
    loaded = _prepared(_folder(folder))
    if search:
        _explain_search(loaded, told or [])
        return
    if owner is None or recipient is None or action is None or purpose is None or item_kind is None:
        raise typer.BadParameter("give --owner, --recipient, --action, --purpose and --item-kind; or --search")
    unknown = explanation.unknown_words(loaded.bundle, owner, recipient, purpose)
    if unknown:
        for line in unknown:
            typer.echo(line, err=True)
        raise typer.Exit(2)
    question = ShareQuestion(
        owner=AgencyId(owner),
        recipient=AgencyId(recipient),
        action=action,
        purpose=PurposeId(purpose),
        item_kind=item_kind,
        standing=standing,
    )
    when = explanation.Made(_day(made), _day(decided), tuple(caveat or ()))
    for line in explanation.explain(loaded.engine, loaded.bundle, question, when):
        typer.echo(line)


def _explain_search(loaded: PolicySnapshot, told: list[str]) -> None:
    try:
        question = search_explanation.question_of(loaded.bundle, told)
    except ValueError as wrong:
        typer.echo(str(wrong), err=True)
        raise typer.Exit(2) from None
    for line in search_explanation.explain(loaded.engine, question):
        typer.echo(line)


@app.command("activate")
def activate_folder(folder: Folder = None) -> None:
    """Put a folder's policy in force, whatever is in force now; on every machine, as soon as it is told."""
    where = _folder(folder)
    prepared = _servable(where)
    from broker.cli.activating import put_in_force

    replaced = put_in_force(prepared.bundle, where)
    typer.echo(
        f"{prepared.digest} was in force already" if replaced == prepared.digest else f"{prepared.digest} is in force"
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError:
        raise typer.BadParameter("must be a day such as 2026-01-31") from None


def _folder(given: Path | None) -> Path:
    if given is not None:
        return given
    from broker.settings import load_settings

    return load_settings().policies


def _prepared(folder: Path) -> PolicySnapshot:
    try:
        return prepare(read_folder(folder), datetime.now(UTC))
    except PolicyInvalid as invalid:
        _refuse(folder, invalid)


def _servable(folder: Path) -> PolicySnapshot:
    from broker.wiring.servable import refuse_unservable

    loaded = _prepared(folder)
    try:
        refuse_unservable(loaded.bundle)
    except PolicyInvalid as invalid:
        _refuse(folder, invalid)
    return loaded


def _refuse(folder: Path, invalid: PolicyInvalid) -> NoReturn:
    for fault in invalid.faults:
        typer.echo(f"{folder / fault.file}:{fault.line}: {fault.reason}")
    raise typer.Exit(1)
