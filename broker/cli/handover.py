"""``broker hand-over``: what a contract leaves behind, and the record that it was handed over."""

import asyncio
import getpass
import json
from typing import TYPE_CHECKING, Annotated

import typer

from broker.cli.connect import connected
from broker.kernel.errors import ConfigurationError, NotFound
from broker.settings import load_settings

if TYPE_CHECKING:
    from broker.search.handover import Due


def command(
    partner: Annotated[str, typer.Argument(help="A partner that verifies participants.")],
    received_by: Annotated[
        str | None, typer.Option(help="Record that all that is listed was handed over to this person.")
    ] = None,
    receipt: Annotated[str | None, typer.Option(help="The receipt's number; needed to record.")] = None,
) -> None:
    """List, as JSON, what has to be handed over at a contract's end; record the hand-over. Nothing is deleted."""
    if (received_by is None) is not (receipt is None):
        raise ConfigurationError("--received-by and --receipt are given together")
    with connected(load_settings()) as endpoint:
        try:
            due = asyncio.run(_run(endpoint.app_url, partner, received_by, receipt))
        except NotFound:
            raise ConfigurationError(f"{partner!r} is no partner that verifies participants, and never was") from None
    answer = {
        "partner": due.partner,
        "agreement": due.agreement,
        "contract_until": due.contract_until.isoformat(),
        "contract_ended": due.contract_ended,
        "participants": due.participants,
        "items": list(due.items),
        "recorded": received_by is not None,
    }
    typer.echo(json.dumps(answer, indent=2))


async def _run(url: str, partner: str, received_by: str | None, receipt: str | None) -> "Due":
    from broker.audit.events import Actor
    from broker.kernel.clock import SystemClock
    from broker.search.handover import HandOvers
    from broker.storage.database import engine_for
    from broker.storage.unit_of_work import UnitOfWork

    engine = engine_for(url, pool_size=1)
    try:
        hand_overs = HandOvers(UnitOfWork(engine), SystemClock())
        if received_by is None or receipt is None:
            return await hand_overs.due(partner)
        actor = Actor(sub=f"operator:{getpass.getuser()}", agency="broker", kind="service")
        return await hand_overs.record(actor, partner, received_by, receipt)
    finally:
        await engine.dispose()
