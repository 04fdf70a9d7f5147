"""The serving half of OSIA identify that the stand-ins share: strict requests, the standard's errors, the test log.

It checks more than a lenient partner would, so that an adapter that passes here passes elsewhere.
"""

import base64
import binascii
import hashlib
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from adapters.faces.comparing import NotAPicture, open_picture
from adapters.faces.people import Match
from adapters.serving import application as serving
from adapters.serving.application import fault
from adapters.serving.journal import Journal
from broker.partners.contract import Json

LONGEST_IMAGE: Final = 30_000_000
ONE_SEARCH: Final = (
    "A repeated transactionId with the same request is the same search, and is answered alike; with another request it "
    "is refused."
)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Fault(_Body):
    """An error, as the standard writes it."""

    code: int
    message: str


class BiometricData(_Body):
    """One face to be searched for, by value."""

    biometricType: str = Field(pattern="^FACE$")  # noqa: N815 - the standard's name
    biometricSubType: str = "PORTRAIT"  # noqa: N815 - the standard's name
    image: str = Field(min_length=1, max_length=LONGEST_IMAGE, description="Base64-encoded image")
    mimeType: str = Field(default="image/jpeg", pattern="^image/(jpeg|png|webp)$")  # noqa: N815 - the standard's name


class IdentifyRequest(_Body):
    """Both members are required, and nothing else is allowed."""

    filter: dict[str, Any] = Field(max_length=20)
    biometricData: list[BiometricData] = Field(min_length=1, max_length=1)  # noqa: N815 - the standard's name


class Handling(_Body):
    """Our marking, which rides in ``others``."""

    owner: str
    custodian: str
    caveats: list[str]
    sourceReference: str  # noqa: N815 - as the standard writes names


class Others(BaseModel):
    """What is said of one record beside its likeness."""

    model_config = ConfigDict(extra="allow")

    handling: Handling


class Candidate(_Body):
    """One likely match."""

    personId: str  # noqa: N815 - the standard's name
    rank: int
    score: float
    others: Others


class Asked:
    """The query of an identify call, and who calls. One FastAPI dependency."""

    def __init__(
        self,
        request: Request,
        transactionId: Annotated[str, Query(min_length=1, max_length=200)],  # noqa: N803 - the standard's name
        callback: Annotated[str | None, Query(max_length=500)] = None,
        priority: Annotated[int | None, Query(ge=0, le=9)] = None,
        maxNbCand: Annotated[int, Query(ge=1, le=100)] = 20,  # noqa: N803 - the standard's name
        threshold: Annotated[float | None, Query(ge=0)] = None,
    ) -> None:
        names = [name for name, _value in request.query_params.multi_items()]
        known = {"transactionId", "callback", "priority", "maxNbCand", "threshold"}
        if len(set(names)) < len(names) or not set(names) <= known:
            raise fault(400, "an unknown or repeated query parameter")
        self.transaction_id = transactionId
        self.callback = callback
        self.priority = priority
        self.most = maxNbCand
        self.threshold = threshold


def application(title: str, description: str, journal: Journal[Any]) -> FastAPI:
    """An app whose errors are the standard's, with the test log."""
    return serving.application(title, description, "1.6.0", journal, _answer)


def _answer(status: int, message: str) -> JSONResponse:
    return JSONResponse({"code": status, "message": message}, status_code=status)


def picture_of(body: IdentifyRequest) -> tuple[bytes, Image.Image]:
    """The probe's bytes and the image in them. Raises a 400 `fault`."""
    try:
        content = base64.b64decode(body.biometricData[0].image, validate=True)
        return content, open_picture(content)
    except (binascii.Error, NotAPicture):
        raise fault(400, "the image cannot be read") from None


def request_hash(request: Request, raw_body: bytes) -> str:
    """What makes two calls the same request."""
    target = f"{request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(target + raw_body).hexdigest()


def candidates_of(matches: tuple[Match, ...], owner: str, caveats: list[str], scale: float = 1.0) -> list[Candidate]:
    """The answer: ranked from 1, each record marked with its owner."""
    return [
        Candidate(
            personId=match.record.reference,
            rank=rank,
            score=round(match.score * scale, 4),
            others=Others(
                handling=Handling(
                    owner=owner, custodian=owner, caveats=caveats, sourceReference=match.record.reference
                ),
                **match.record.facts,
            ),
        )
        for rank, match in enumerate(matches, start=1)
    ]


FAULTS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Fault, "description": "Bad request"},
    403: {"model": Fault, "description": "Not allowed"},
    404: {"model": Fault, "description": "Unknown"},
    500: {"model": Fault, "description": "Unexpected error"},
}


def to_json(candidates: list[Candidate]) -> list[Json]:
    """As it goes on the wire."""
    return [candidate.model_dump(mode="json") for candidate in candidates]
