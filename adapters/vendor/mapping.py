"""What the vendor is asked, and what its pages and webhooks say. Pure.

A search is taken (202) and runs; its results come in pages, each naming the next. Scores run from 0 to 100; higher is
more alike. Everything that the vendor says names the search's reference, which is our transaction id: what names
another one is no answer to this order.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from adapters.failures import MALFORMED, read_failure
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    Handling,
    Json,
    NoHit,
    NotStrictJson,
    OrderTerms,
    Outcome,
    ReportedCandidate,
    SearchOrder,
    StillPending,
    Submitted,
    WireReply,
    path_segment,
    read_json,
)

_FIRST_WAIT_SECONDS: Final = 0.3
_WAIT_SECONDS: Final = 0.5
_QUOTA_WAIT_SECONDS: Final = 5.0
_LONGEST_CURSOR: Final = 200
_WORKING: Final = frozenset({"queued", "running"})


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the results, and where the next ones are."""

    results: tuple[ReportedCandidate, ...]
    next: str | None


def submit_path(order: SearchOrder) -> str:
    """Where a search of the gallery is submitted."""
    return f"/v2/galleries/{path_segment(order.gallery)}/searches"


def submit_body(order: SearchOrder) -> Json:
    """The probe, its bytes unchanged. The vendor is told neither purpose nor case."""
    image = base64.b64encode(order.probe.content).decode("ascii")
    return {"reference": order.transaction_id, "face": image, "limit": order.max_candidates}


def state_path(task_id: str) -> str:
    """Where a search's state is read."""
    return f"/v2/searches/{path_segment(task_id)}"


def results_path(task_id: str) -> str:
    """Where its results are, page by page."""
    return f"{state_path(task_id)}/results"


def read_submitted(reply: WireReply, order: OrderTerms) -> Outcome:
    """Whether the search was taken."""
    if reply.status != 202:
        return read_failure(reply.status)
    body = _own(reply.json, order)
    task_id = body.get("search") if body is not None else None
    if not isinstance(task_id, str):
        return MALFORMED
    try:
        return Submitted(task_id=task_id, poll_after_seconds=_FIRST_WAIT_SECONDS)
    except ValidationError:
        return MALFORMED


def read_state(reply: WireReply, order: OrderTerms) -> Outcome | None:
    """What the state says; None if the search is done and its pages can be read."""
    if reply.status != 200:
        return _not_now(reply.status)
    body = _own(reply.json, order)
    state = body.get("state") if body is not None else None
    if state == "done":
        return None
    if state == "failed":
        return Failed(kind=FailureKind.PARTNER_ERROR)
    return StillPending(poll_after_seconds=_WAIT_SECONDS) if state in _WORKING else MALFORMED


def read_page(reply: WireReply, order: OrderTerms) -> Page | Outcome:
    """One page, or why there is none."""
    if reply.status != 200:
        return _not_now(reply.status)
    return _page(reply.json, order) or MALFORMED


def read_webhook(order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:
    """A finished search that the vendor reports by itself. Results that do not fit on its page are left to the poll."""
    if query.get("transactionId") != order.transaction_id or not query.get("taskId"):
        return MALFORMED
    try:
        content = read_json(body)
    except NotStrictJson:
        return Failed(kind=FailureKind.NOT_STRICT_JSON)
    own = _own(content, order)
    if own is None or own.get("search") != query["taskId"]:
        return MALFORMED
    if own.get("state") == "failed":
        return Failed(kind=FailureKind.PARTNER_ERROR)
    page = _page(own, order) if own.get("state") == "done" else None
    if page is None:
        return MALFORMED
    return StillPending(poll_after_seconds=_WAIT_SECONDS) if page.next is not None else whole([page])


def whole(pages: Sequence[Page]) -> Outcome:
    """The answer that all pages make. Ranks are by the pages' order, which is the vendor's own."""
    candidates = tuple(candidate for page in pages for candidate in page.results)
    return Answered(candidates=candidates) if candidates else NoHit()


def _not_now(status: int) -> Outcome:
    # A poll that the quota stops says nothing of the search, which goes on: it is asked about again, later.
    if status == 429:
        return StillPending(poll_after_seconds=_QUOTA_WAIT_SECONDS)
    return Failed(kind=FailureKind.UNKNOWN_TASK) if status == 404 else read_failure(status)


def _own(body: Json, order: OrderTerms) -> dict[str, Json] | None:
    """The object, if it is one and about this very order."""
    return body if isinstance(body, dict) and body.get("reference") == order.transaction_id else None


def _page(content: Json, order: OrderTerms) -> Page | None:
    body = _own(content, order)
    if body is None or "next" not in body:
        return None
    results, following = body.get("results"), body["next"]
    if not isinstance(results, list) or not (following is None or _is_cursor(following)):
        return None
    try:
        return Page(tuple(_candidate(one) for one in results), following if isinstance(following, str) else None)
    except (ValidationError, TypeError):
        return None


def _is_cursor(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_CURSOR


def _candidate(body: Json) -> ReportedCandidate:
    if not isinstance(body, dict):
        raise TypeError("a result is no object")
    drawn = body.get("drawn_on")
    source = body.get("source")
    return ReportedCandidate.model_validate(
        {
            "reference": body.get("image_id"),
            "rank": body.get("position"),
            "score": body.get("confidence"),
            "handling": Handling.model_validate({"owner": source, "source_reference": body.get("image_id")}),
            "facts": {} if drawn is None else {"drawn_on": drawn},
        }
    )
