"""The process that answers calls: a child of ``broker serve``, which hands it the listening socket."""

from typing import Annotated

import typer

from broker.cli.connect import check_shape, with_database
from broker.cli.listening import answer, inherited
from broker.kernel.errors import ConfigurationError
from broker.settings import Settings, load_settings
from broker.storage.embedded import Endpoint, attach


def command(fd: Annotated[int, typer.Option()]) -> None:
    """Answer calls on a socket that `broker serve` has made."""
    from broker.app import create_app
    from broker.wiring.traces import provide

    settings = load_settings()
    provide(settings)
    with inherited(fd) as sock:
        endpoint = _endpoint(settings)
        check_shape(endpoint, patient=True)
        app = create_app(with_database(settings, endpoint))
        answer(app, sock, app.state.ending.begin, settings.drain_seconds)


def _endpoint(settings: Settings) -> Endpoint:
    if settings.database_url is not None:
        return Endpoint(owner_url=settings.owner_database_url or settings.database_url, app_url=settings.database_url)
    running = attach(settings.home)
    if running is None:
        raise ConfigurationError("the embedded database is not running; it is started by `broker serve`")
    return running
