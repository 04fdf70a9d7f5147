"""``broker partner-standin``: one invented partner, as a program of its own."""

import os
import secrets
from importlib.metadata import entry_points
from typing import Annotated, Any, Final

import typer

from broker.cli.listening import answer, inherited, listen, url_of
from broker.kernel.errors import ConfigurationError
from broker.settings import Settings, load_settings
from broker.storage.keys import load_or_create

_GROUP: Final = "broker.standins"
_SECRET_BYTES: Final = 32


def command(
    name: Annotated[str, typer.Argument(help="The partner's name in the register.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 0,
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run one invented partner. PARTNER_* in the environment are passed on to it."""
    application = _build(name, load_settings())
    with inherited(fd) if fd is not None else listen(host, port) as sock:
        typer.echo(f"{name} listens on {url_of(sock)}")
        answer(application, sock)


def standins() -> frozenset[str]:
    """Names of the partners for which an installed package has a stand-in."""
    return frozenset(entry.name for entry in entry_points(group=_GROUP))


def credentials(name: str, settings: Settings, base_url: str) -> dict[str, str]:
    """What a stand-in needs to be believed by this home's broker. The secret is made on first use."""
    key_file = settings.home / "keys" / f"partner-{name}.key"
    load_or_create(key_file, lambda: secrets.token_bytes(_SECRET_BYTES))
    return {"PARTNER_KEY_FILE": str(key_file), "PARTNER_CALLBACK_URL": f"{base_url}/v1/callbacks/{name}"}


def _build(name: str, settings: Settings) -> Any:
    found = [entry for entry in entry_points(group=_GROUP) if entry.name == name]
    if not found:
        known = ", ".join(sorted(standins())) or "none is installed"
        raise ConfigurationError(f"there is no stand-in for {name!r}; known: {known}")
    given = {key: value for key, value in os.environ.items() if key.startswith("PARTNER_")}
    if not {"PARTNER_KEY_FILE", "PARTNER_CALLBACK_URL"} <= given.keys():
        given = {**credentials(name, settings, settings.base_url), **given}
    return found[0].load()({"PARTNER_NAME": name, **given})
