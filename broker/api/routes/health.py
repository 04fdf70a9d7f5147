"""Whether the process lives, whether it can serve, and what it costs. None of it says anything about the business."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from broker.api.deps import ServicesDep
from broker.api.ending import Ending
from broker.api.schemas.words import Reply

router = APIRouter(tags=["service"])


class HealthReply(Reply):
    """A word for people; programs read the status code."""

    status: str


@router.get("/healthz")
async def healthz() -> HealthReply:
    """The process answers."""
    return HealthReply(status="alive")


@router.get("/readyz", responses={503: {"model": HealthReply}})
async def readyz(request: Request, response: Response, held: ServicesDep) -> HealthReply:
    """The database answers, the policy in force is loaded here, and the process is not about to end.

    Answered within about two seconds, whatever the database does.
    """
    ending: Ending = request.app.state.ending
    if not ending.begun and await held.ready():
        return HealthReply(status="ready")
    response.status_code = 503
    return HealthReply(status="ending" if ending.begun else "not ready")


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """What this process uses of the machine, for Prometheus. No counts of searches or refusals: those have owners."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
