"""What became of a task: its status, a redelivery asked for, an answer that came by callback. Pure.

The standard's status is a bare word, and its result comes by callback only. Many systems answer the status with an
object that holds the result as well; both are read.
"""

from collections.abc import Mapping
from typing import Final

from adapters.failures import MALFORMED, read_failure
from adapters.osia.messages import read_candidates
from broker.partners.contract import (
    Failed,
    FailureKind,
    Json,
    NotStrictJson,
    OrderTerms,
    Outcome,
    RedeliveryAsked,
    StillPending,
    WireReply,
    path_segment,
    read_json,
)

_WAIT_SECONDS: Final = 0.5
_REDELIVERY_SECONDS: Final = 5.0
_WAITING: Final = frozenset({"PENDING", "RESPONSE_SCHEDULED", "RESPONSE_RETRY"})


def status_path(task_id: str) -> str:
    """Where a task's status is read."""
    return f"/v1/tasks/{path_segment(task_id)}/status"


def redeliver_path(task_id: str) -> str:
    """Where a task's answer is asked for once more."""
    return f"/v1/tasks/{path_segment(task_id)}/redeliver"


def read_status(reply: WireReply) -> Outcome | None:
    """What the status says; None if the task is done and its answer has to be asked for."""
    if reply.status != 200:
        return _failure(reply.status)
    word, result = _status(reply.json)
    if not isinstance(word, str):
        return MALFORMED
    if word == "COMPLETED":
        return None if result is None else read_candidates(result)
    if word in _WAITING:
        return StillPending(poll_after_seconds=_WAIT_SECONDS)
    if word == "RESPONSE_ERROR":
        return Failed(kind=FailureKind.PARTNER_ERROR)
    return MALFORMED


def read_redelivery(reply: WireReply) -> Outcome:
    """Whether the partner will send the answer once more."""
    if reply.status in (200, 202, 204):
        return RedeliveryAsked(poll_after_seconds=_REDELIVERY_SECONDS)
    if reply.status == 409:
        # The answer is no longer there, which is the partner's doing and not a refusal to search.
        return Failed(kind=FailureKind.PARTNER_ERROR)
    return _failure(reply.status)


def read_callback(order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:
    """An answer sent by callback: candidates, or the partner's error."""
    if query.get("transactionId") != order.transaction_id or not query.get("taskId"):
        return MALFORMED
    try:
        content = read_json(body)
    except NotStrictJson:
        return Failed(kind=FailureKind.NOT_STRICT_JSON)
    if isinstance(content, dict) and content.keys() >= {"code", "message"}:
        return Failed(kind=FailureKind.PARTNER_ERROR)
    return read_candidates(content)


def _failure(status: int) -> Outcome:
    return Failed(kind=FailureKind.UNKNOWN_TASK) if status == 404 else read_failure(status)


def _status(body: Json) -> tuple[Json, Json]:
    if not isinstance(body, dict):
        return body, None
    return body.get("status"), body.get("candidates", body.get("result"))
