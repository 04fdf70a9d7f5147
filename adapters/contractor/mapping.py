"""What the contractor is asked, and what its verdict says. Pure.

One probe is compared with one participant: a match is a candidate list of one, no match is "no hit". Scores run from 0
to 1; higher is more alike. A reply that says where anybody is, at any depth, is not taken at all.
"""

import base64
from collections.abc import Iterator
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
    OrderTerms,
    Outcome,
    Refusal,
    Refused,
    ReportedCandidate,
    SearchOrder,
    WireReply,
    path_segment,
    tells_where,
)

_MEMBERS: Final = {"reference", "participant", "verdict", "score", "owner"}
UNKNOWN_PARTICIPANT: Final = "unknown_participant"


def path(order: SearchOrder) -> str:
    """Where the programme verifies."""
    return f"/programmes/{path_segment(order.gallery)}/verifications"


def body(order: SearchOrder) -> Json:
    """The probe, its bytes unchanged, and whom it is compared with. Nothing else of the matter is said."""
    photo = base64.b64encode(order.probe.content).decode("ascii")
    return {"reference": order.transaction_id, "participant": order.participant, "photo": photo}


def read_verdict(reply: WireReply, order: OrderTerms) -> Outcome:
    """The verdict, if it is about this very order and participant."""
    if any(tells_where(name) for name in _names(reply.json)):
        return Failed(kind=FailureKind.LOCATION_SENT)
    if reply.status != 200:
        unknown = reply.status == 404 and reply.json == {"error": UNKNOWN_PARTICIPANT}
        return Refused(code=Refusal.UNKNOWN_PARTICIPANT) if unknown else read_failure(reply.status)
    said = reply.json
    if not isinstance(said, dict) or said.keys() != _MEMBERS:
        return MALFORMED
    about = (said["reference"], said["participant"]) == (order.transaction_id, order.participant)
    return _verdict(said) if about else MALFORMED


def _verdict(said: dict[str, Json]) -> Outcome:
    # Both verdicts have the same members, so they are held to the same form.
    try:
        handling = Handling.model_validate({"owner": said["owner"], "source_reference": said["participant"]})
        candidate = ReportedCandidate.model_validate(
            {"reference": said["participant"], "rank": 1, "score": said["score"], "handling": handling}
        )
    except ValidationError:
        return MALFORMED
    match said["verdict"]:
        case "match":
            return Answered(candidates=(candidate,))
        case "no_match":
            return NoHit(claimed_owner=handling.owner)
        case _:
            return MALFORMED


def _names(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _names(member)
    elif isinstance(value, list):
        for member in value:
            yield from _names(member)
