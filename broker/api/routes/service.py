"""How the service itself is doing, for those who run it or audit it: its processes, and its traffic with partners."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from broker.api.auth import Caller
from broker.api.deps import Allowed, ServicesDep
from broker.api.exposition import written
from broker.api.schemas.service import ProcessList, process_reply
from broker.policy.question import Act

router = APIRouter(prefix="/v1/service", tags=["service"])


@router.get("/processes")
async def list_processes(
    caller: Annotated[Caller, Depends(Allowed(Act.SERVICE_READ))], held: ServicesDep
) -> ProcessList:
    """The processes on all machines, and which policy each has loaded since when."""
    del caller
    found = await held.processes.all()
    return ProcessList(
        in_force=await held.digest_in_force(),
        items=[process_reply(one) for one in found],
        next=None,
        complete=True,
    )


@router.get("/metrics", response_class=Response)
async def read_service_metrics(
    caller: Annotated[Caller, Depends(Allowed(Act.SERVICE_READ))], held: ServicesDep
) -> Response:
    """Calls to each partner, its circuit, what waits for it, and messages not brought yet, for Prometheus.

    Of all processes on all machines at once. It does not tell what any answer said.
    """
    del caller
    text = written(await held.processes.all(), await held.searches.lines(), await held.traffic.waiting())
    return Response(text, media_type=CONTENT_TYPE_LATEST)
