"""All commands together. Each module below brings one group; what a command needs it imports when it is run."""

import sys
from importlib import import_module
from typing import Final

import typer

from broker.kernel.errors import BrokerError

_COMMANDS: Final = {
    "serve": "serve",
    "worker": "worker",
    "up": "up",
    "migrate": "migrate",
    "keys": "keys",
    "partner-standin": "standin",
    "sample-probes": "samples",
    "token": "token",
    "oversight": "oversight",
    "hand-over": "handover",
    "openapi": "openapi",
}
"""Single commands: the module of each has a function `command`."""
_INNER: Final = {"api": "api"}
"""Commands that other commands start."""
_STARTED_BY_A_SERVICE: Final = frozenset({"--fd", "--child"})
_GROUPS: Final = {"policy": "policy", "audit": "audit"}
"""Groups of commands: the module of each has a typer app called `app`."""


def build(wanted: str | None = None) -> typer.Typer:
    """The whole command line, or of it only the command *wanted*, if there is one of that name."""
    app = typer.Typer(
        name="broker",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_nothing)
    known = wanted in {*_COMMANDS, *_INNER, *_GROUPS}
    for name, module in {**_COMMANDS, **_INNER}.items():
        if not known or name == wanted:
            app.command(name, hidden=name in _INNER)(import_module(f"broker.cli.{module}").command)
    for name, module in _GROUPS.items():
        if not known or name == wanted:
            app.add_typer(import_module(f"broker.cli.{module}").app, name=name)
    return app


def _nothing() -> None:
    """Sends probe-photo searches to partner systems and passes nothing on without the owner's permission."""
    # With a callback a command is called by its name also where it is the only one.


def main() -> None:
    """Run one command. What stands in its way is told in one line, without a traceback, and ends it with 2."""
    from broker.cli.logs import configure_logs

    configure_logs()
    try:
        # A running service consists of several of these processes, so each imports what it needs and no more.
        build(sys.argv[1] if len(sys.argv) > 1 else None)()
    except BrokerError as error:
        print(f"broker: {error.detail or error.title}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # A path that somebody gave. What a service starts by itself must not end it for good, and keeps its traceback.
        if error.filename is None or _STARTED_BY_A_SERVICE.intersection(sys.argv):
            raise
        print(f"broker: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
