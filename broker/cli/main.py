"""All commands together. Each module below brings one group; what a command needs it imports when it is run."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Final

import typer

from broker.kernel.errors import BrokerError

_COMMANDS: Final = {
    "serve": "serve",
    "worker": "worker",
    "up": "up",
    "migrate": "migrate",
    "partner-standin": "standin",
    "sample-probes": "samples",
    "token": "token",
    "oversight": "oversight",
    "openapi": "openapi",
}
"""Single commands: the module of each has a function `command`."""
_GROUPS: Final = {"policy": "policy", "audit": "audit"}
"""Groups of commands: the module of each has a typer app called `app`."""


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="broker",
        help="Sends probe-photo searches to partner systems and passes nothing on without the owner's permission.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name, module in _COMMANDS.items():
        if find_spec(f"broker.cli.{module}") is None:
            continue
        app.command(name)(import_module(f"broker.cli.{module}").command)
    app.command("api", hidden=True)(import_module("broker.cli.api").command)
    for name, module in _GROUPS.items():
        app.add_typer(import_module(f"broker.cli.{module}").app, name=name)
    return app


def main() -> None:
    """Run one command. What stands in its way is told in one line, without a traceback, and ends it with 2."""
    from broker.cli.logs import configure_logs

    configure_logs()
    try:
        build()()
    except BrokerError as error:
        print(f"broker: {error.detail or error.title}", file=sys.stderr)
        sys.exit(2)
