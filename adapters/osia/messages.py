"""Writing an identify request and reading its answer. Pure.

Reading is liberal where the standard leaves room — members it does not know are dropped, scores may have any
scale — and strict where a mistake would change the meaning: types, marks of ownership, errors.
"""

import base64
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from adapters.failures import MALFORMED, read_failure
from broker.partners.contract import (
    Answered,
    Failed,
    Handling,
    Json,
    NoHit,
    Outcome,
    ReportedCandidate,
    SearchOrder,
    Submitted,
    WireReply,
    path_segment,
)

_MOST_FACTS: Final = 50
_LONGEST_FACT: Final = 2000
_FIRST_WAIT_SECONDS: Final = 0.3


def identify_path(order: SearchOrder) -> str:
    """Where the gallery is searched."""
    return f"/v1/identify/{path_segment(order.gallery)}"


def identify_query(order: SearchOrder) -> dict[str, str]:
    """Transaction and cap. A callback address asks for a late answer; without one the standard expects it at once."""
    query = {"transactionId": order.transaction_id, "maxNbCand": str(order.max_candidates)}
    if order.callback_url is not None:
        query["callback"] = order.callback_url
    return query


def identify_body(order: SearchOrder) -> Json:
    """The probe, its bytes unchanged. The standard has no place for a purpose, so none is sent."""
    image = base64.b64encode(order.probe.content).decode("ascii")
    face: Json = {"biometricType": "FACE", "biometricSubType": "PORTRAIT", "image": image, "mimeType": "image/jpeg"}
    return {"filter": {}, "biometricData": [face]}


def read_identify(reply: WireReply) -> Outcome:
    """The answer to an identify request: candidates at once (200), or a task for later (202)."""
    if reply.status == 200:
        return read_candidates(reply.json)
    if reply.status == 202:
        return _read_task(reply.json)
    return read_failure(reply.status)


def read_candidates(body: Json) -> Outcome:
    """A ``Candidate[]``; the empty one is "no hit"."""
    if not isinstance(body, list):
        return MALFORMED
    try:
        candidates = tuple(_candidate(one) for one in body)
    except (ValidationError, _Malformed):
        return MALFORMED
    return Answered(candidates=candidates) if candidates else NoHit()


class _Malformed(ValueError):
    pass


def _read_task(body: Json) -> Submitted | Failed:
    task_id = body.get("taskId") if isinstance(body, dict) else None
    if not isinstance(task_id, str):
        return MALFORMED
    try:
        return Submitted(task_id=task_id, poll_after_seconds=_FIRST_WAIT_SECONDS)
    except ValidationError:
        return MALFORMED


def _candidate(body: Json) -> ReportedCandidate:
    members = _object(body)
    others = _object(members.get("others"), absent_is_empty=True)
    reference, rank, score = members.get("personId"), members.get("rank"), members.get("score")
    if not isinstance(reference, str) or not _is_number(rank) or not isinstance(rank, int) or not _is_number(score):
        raise _Malformed
    _check_scores(members.get("scores"))
    return ReportedCandidate.model_validate(
        {
            "reference": reference,
            "rank": rank,
            "score": score,
            "handling": _handling(others.get("handling")),
            "facts": _facts(others),
        }
    )


def _check_scores(body: Json) -> None:
    # Scores per image are not carried further, but a wrong type shows a partner that does not speak the protocol.
    if body is not None and not (isinstance(body, list) and all(isinstance(one, dict) for one in body)):
        raise _Malformed


def _handling(body: Json) -> Handling | None:
    if body is None:
        return None
    marks = _object(body)
    caveats = marks.get("caveats")
    if caveats is None:
        caveats = []
    if not isinstance(caveats, list):
        raise _Malformed
    reference = marks.get("sourceReference", marks.get("source_reference"))
    return Handling.model_validate(
        {
            "owner": marks.get("owner"),
            "custodian": marks.get("custodian"),
            "caveats": tuple(caveats),
            "source_reference": reference,
        }
    )


def _facts(others: Mapping[str, Json]) -> dict[str, Json]:
    facts: dict[str, Json] = {}
    for name, value in others.items():
        if name == "handling" or isinstance(value, list | dict) or len(facts) == _MOST_FACTS:
            continue
        if _printable(name, 200) and name and (not isinstance(value, str) or _printable(value, _LONGEST_FACT)):
            facts[name] = value
    return facts


def _printable(text: str, longest: int) -> bool:
    return len(text) <= longest and text.isprintable()


def _object(body: Json, *, absent_is_empty: bool = False) -> dict[str, Json]:
    if body is None and absent_is_empty:
        return {}
    if not isinstance(body, dict):
        raise _Malformed
    return body


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
