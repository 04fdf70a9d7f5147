"""An invented contractor that verifies enrolled participants. Synthetic from end to end: drawn faces, made-up names.

Settings: ``PARTNER_KEY_FILE`` (the secret shared with the broker), and for tests ``PARTNER_CLAIMED_OWNER`` (says that
its records belong to somebody else), ``PARTNER_GALLERY`` and ``PARTNER_TELLS_WHERE`` (adds a place to each answer, which
the broker must not take).
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from adapters.contractor.mapping import UNKNOWN_PARTICIPANT
from adapters.faces.comparing import NotAPicture, likeness, open_picture, score
from adapters.faces.people import THRESHOLD, Record, gallery
from adapters.serving.application import application, fault, guard, secret_of
from adapters.serving.journal import Journal

OWNER: Final = "CONTRACTOR-EX"
_FAMILIES: Final = tuple(range(501, 511))
_ONE_SEARCH: Final = (
    "A repeated reference with the same request is the same verification, and is answered alike; with another request "
    "it is refused."
)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Problem(_Body):
    """An error."""

    error: str


class Verification(_Body):
    """A face, and whom it is to be compared with."""

    reference: str = Field(min_length=1, max_length=200)
    participant: str = Field(min_length=1, max_length=100)
    photo: str = Field(min_length=1, max_length=30_000_000, description="A JPEG in base 64")


class Verdict(_Body):
    """Whether the photo shows the participant. A match is a likeness, not an identification."""

    reference: str
    participant: str
    verdict: Literal["match", "no_match"]
    score: float
    owner: str


def build(settings: Mapping[str, str]) -> FastAPI:
    """The app, ready to be served."""
    owner = settings.get("PARTNER_CLAIMED_OWNER", OWNER)
    name = settings.get("PARTNER_GALLERY", "check-in")
    place = {"lastLocation": {"lat": 0.0, "lon": 0.0}} if "PARTNER_TELLS_WHERE" in settings else {}
    enrolled = {record.reference: record for record in gallery("P", _FAMILIES).records}
    journal: Journal[Verdict] = Journal()
    app = application(
        "Invented partner: check-in of participants",
        "A stand-in with synthetic data that compares a photo with one enrolled participant.",
        "1",
        journal,
        _answer,
    )
    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": Verdict, "description": "The verdict"},
        **{status: {"model": Problem, "description": text} for status, text in _PROBLEMS.items()},
    }

    @app.post(
        "/programmes/{programme}/verifications",
        operation_id="verify",
        dependencies=[guard(secret_of(settings))],
        response_class=JSONResponse,
        responses=answers,
        description=_ONE_SEARCH,
    )
    async def verify(programme: str, body: Verification, request: Request) -> Response:
        if programme != name:
            raise fault(404, "unknown programme")
        record = enrolled.get(body.participant)
        if record is None:
            raise fault(404, UNKNOWN_PARTICIPANT)
        content, picture = _picture_of(body)

        async def compare() -> Verdict:
            alike = await run_in_threadpool(_alike, picture, record)
            word: Literal["match", "no_match"] = "match" if alike >= THRESHOLD else "no_match"
            return Verdict(
                reference=body.reference, participant=body.participant, verdict=word, score=alike, owner=owner
            )

        asked = hashlib.sha256(await request.body()).hexdigest()
        verdict = await journal.once(body.reference, asked, content, compare)
        return JSONResponse({**verdict.model_dump(mode="json"), **place})

    return app


def _answer(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


_PROBLEMS: Final = {400: "Bad request", 403: "Not allowed", 404: "Unknown programme or participant"}


def _alike(picture: Image.Image, record: Record) -> float:
    return round(min(1.0, score(likeness(picture), record.likeness)), 4)


def _picture_of(body: Verification) -> tuple[bytes, Image.Image]:
    try:
        content = base64.b64decode(body.photo, validate=True)
        return content, open_picture(content)
    except (binascii.Error, NotAPicture):
        raise fault(400, "the image cannot be read") from None
