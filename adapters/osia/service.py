"""The serving half of OSIA identify that the stand-ins share: strict requests, the standard's errors, the test log.

It checks more than a lenient partner would, so that an adapter that passes here passes elsewhere.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from adapters.faces.comparing import NotAPicture, open_picture
from adapters.faces.people import Match
from adapters.osia.journal import Journal, OtherRequest
from broker.partners.contract import Json, api_key

_log = logging.getLogger(__name__)

LONGEST_IMAGE: Final = 30_000_000
ONE_SEARCH: Final = (
    "A repeated transactionId with the same request is the same search, and is answered alike; with another request it "
    "is refused."
)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "testclient"})


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


def fault(status: int, message: str) -> HTTPException:
    """An error for the caller; the message never repeats what was sent."""
    return HTTPException(status, message)


def application(title: str, description: str, journal: Journal[Any]) -> FastAPI:
    """An app whose errors are the standard's, with the test log."""
    app = FastAPI(title=title, description=description, version="1.6.0", docs_url=None, redoc_url=None)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, _error: RequestValidationError) -> JSONResponse:
        return _answer(400, "the request does not fit the interface")

    @app.exception_handler(StarletteHTTPException)
    async def refused(_request: Request, error: StarletteHTTPException) -> JSONResponse:
        return _answer(error.status_code, str(error.detail))

    @app.exception_handler(OtherRequest)
    async def reused(_request: Request, _error: OtherRequest) -> JSONResponse:
        return _answer(400, "this transactionId was used for another request")

    @app.exception_handler(Exception)
    async def broken(_request: Request, _error: Exception) -> JSONResponse:
        return _answer(500, "unexpected error")

    @app.get("/standin/log", include_in_schema=False)
    async def log(request: Request) -> JSONResponse:
        # Only an aid for tests on the same machine; a real partner has nothing of the kind.
        if request.client is None or request.client.host not in _LOOPBACK:
            raise fault(404, "not found")
        return JSONResponse(journal.as_json())

    return app


def _answer(status: int, message: str) -> JSONResponse:
    return JSONResponse({"code": status, "message": message}, status_code=status)


def secret_of(settings: Mapping[str, str]) -> bytes:
    """What the broker and this partner share, from the file named by ``PARTNER_KEY_FILE``.

    Without one nobody can know the secret, so every caller is refused and callbacks prove nothing.
    """
    content = Path(settings["PARTNER_KEY_FILE"]).read_bytes() if "PARTNER_KEY_FILE" in settings else b""
    if not content:
        _log.warning("PARTNER_KEY_FILE names no secret: this stand-in will refuse every call")
        return secrets.token_bytes(32)
    return content


_KEY: Final = (
    "In hexadecimal: HMAC-SHA256 of the text `interagency-request-broker api key v1`, keyed with the secret that the "
    "broker and this partner share."
)


def guard(secret: bytes) -> Any:
    """A dependency that lets through only who holds the secret's API key."""
    scheme = HTTPBearer(auto_error=False, scheme_name="PartnerKey", description=_KEY)
    expected = api_key(secret)

    async def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(scheme)]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), expected.encode()):
            raise fault(403, "the caller is not known")

    return Depends(check)


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
