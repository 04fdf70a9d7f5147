"""``broker token``: a development token."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from broker.cli.registered import registered_agencies, registered_partners
from broker.kernel.errors import ConfigurationError
from broker.kernel.words import Role
from broker.settings import Settings, load_settings


def command(
    sub: Annotated[str, typer.Option(help="Who: the sub claim.")],
    agency: Annotated[str, typer.Option(help="Agency of the caller, exactly as in agencies.yaml.")],
    role: Annotated[list[Role], typer.Option(help="May be given more than once.")],
    training_valid_until: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Last day of the training; a year from now without it.")
    ] = None,
    partner: Annotated[
        list[str] | None, typer.Option(help="Enrolled for this partner; all without it. May be given more than once.")
    ] = None,
    ttl: Annotated[float, typer.Option(min=0.0, max=24 * 366, help="Hours until it expires.")] = 8.0,
) -> None:
    """Print a development token, alone on the last line. Refused where a production issuer is set."""
    from broker.api.dev_issuer import issue

    settings = load_settings()
    if settings.issuer is not None:
        raise ConfigurationError("BROKER_ISSUER is set: tokens come from there, and development tokens are refused")
    _warn(settings, "agency", [agency], registered_agencies)
    _warn(settings, "partner", partner or [], registered_partners)
    token = issue(
        settings.home,
        sub=sub,
        agency=agency,
        roles=list(dict.fromkeys(role)),
        training_valid_until=_day(training_valid_until),
        partners=list(registered_partners(settings)) if partner is None else partner,
        audience=settings.audience,
        lifetime=timedelta(hours=ttl),
    )
    typer.echo(token)


def _day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date() + timedelta(days=365)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("must be a day such as 2026-01-31", param_hint="--training-valid-until") from None


def _warn(settings: Settings, kind: str, given: list[str], register: Callable[[Settings], tuple[str, ...]]) -> None:
    """Say which names this installation does not know. The token is made all the same: it may be for another one."""
    if not given:
        return
    try:
        known = register(settings)
    except ConfigurationError:
        return
    for name in given:
        if name not in known:
            typer.echo(f"broker: no {kind} here is called {name!r}; known: {', '.join(known)}", err=True)
