"""``broker keys``: all keys of an installation at once, so that they can be copied before other machines start."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer

from broker.settings import Settings, load_settings


def command() -> None:
    """Make the keys that are missing: for content, log, each partner, and each agency with an address for messages."""
    settings = load_settings()
    makers = _makers(settings)
    made = [file for file, make in makers.items() if _made(file, make)]
    for file in made:
        typer.echo(f"made {file}")
    typer.echo(f"{len(makers) - len(made)} of {len(makers)} keys were there already")


def _makers(settings: Settings) -> dict[Path, Callable[[], object]]:
    from broker.audit.checkpoint import KEY_FILE, Signer
    from broker.notify.receivers import Receivers
    from broker.partners.registry import SECRET_BYTES
    from broker.policy.snapshot import prepare
    from broker.policy.source import read_folder
    from broker.storage.keys import load_or_create
    from broker.storage.sealing_key import load_sealer

    # Told of a fault as `broker policy check` tells it; a bad folder has no partners to make keys for.
    bundle, keys = prepare(read_folder(settings.policies), datetime.now(UTC)).bundle, settings.home / "keys"
    sealing = settings.sealing_key_file or keys / "sealing.key"
    makers: dict[Path, Callable[[], object]] = {
        sealing: lambda: load_sealer(sealing, first=True),
        keys / KEY_FILE: lambda: Signer.load(keys),
    }
    for entry in bundle.partners:
        file = keys / f"partner-{entry.id}.key"
        makers[file] = partial(load_or_create, file, partial(secrets.token_bytes, SECRET_BYTES))
    receivers = Receivers(bundle.notified_at, keys)
    for agency in receivers.agencies():
        receiver = receivers.find(agency)
        if receiver is not None:
            makers[receiver.secret_file] = receiver.secret
    return makers


def _made(file: Path, make: Callable[[], object]) -> bool:
    was_there = file.exists()
    make()  # Also where it was: a key that cannot be used is told now.
    return not was_there
