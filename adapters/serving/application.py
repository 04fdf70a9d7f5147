"""The app of a stand-in: it knows its one caller by the shared key, and its errors never repeat what was sent."""

import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException

from adapters.serving.journal import Journal, OtherRequest
from broker.partners.contract import api_key

_log = logging.getLogger(__name__)

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "testclient"})
_KEY: Final = (
    "In hexadecimal: HMAC-SHA256 of the text `interagency-request-broker api key v1`, keyed with the secret that the "
    "broker and this partner share."
)

Answer = Callable[[int, str], Response]
"""How a stand-in writes an error of this status and message."""


def fault(status: int, message: str, headers: dict[str, str] | None = None) -> HTTPException:
    """An error for the caller; the message never repeats what was sent."""
    return HTTPException(status, message, headers)


def application(title: str, description: str, version: str, journal: Journal[Any], answer: Answer) -> FastAPI:
    """An app whose errors are written by *answer*, with the test log."""
    app = FastAPI(title=title, description=description, version=version, docs_url=None, redoc_url=None)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, _error: RequestValidationError) -> Response:
        return answer(400, "the request does not fit the interface")

    @app.exception_handler(StarletteHTTPException)
    async def refused(_request: Request, error: StarletteHTTPException) -> Response:
        response = answer(error.status_code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(OtherRequest)
    async def reused(_request: Request, _error: OtherRequest) -> Response:
        return answer(400, "this transactionId was used for another request")

    @app.exception_handler(Exception)
    async def broken(_request: Request, _error: Exception) -> Response:
        return answer(500, "unexpected error")

    @app.get("/standin/log", include_in_schema=False)
    async def log(request: Request) -> JSONResponse:
        # Only an aid for tests on the same machine; a real partner has nothing of the kind.
        if request.client is None or request.client.host not in _LOOPBACK:
            raise fault(404, "not found")
        return JSONResponse(journal.as_json())

    return app


def secret_of(settings: Mapping[str, str]) -> bytes:
    """What the broker and this partner share, from the file named by ``PARTNER_KEY_FILE``.

    Without one nobody can know the secret, so every caller is refused and callbacks prove nothing.
    """
    content = Path(settings["PARTNER_KEY_FILE"]).read_bytes() if "PARTNER_KEY_FILE" in settings else b""
    if not content:
        _log.warning("PARTNER_KEY_FILE names no secret: this stand-in will refuse every call")
        return secrets.token_bytes(32)
    return content


def guard(secret: bytes) -> Any:
    """A dependency that lets through only who holds the secret's API key, as a bearer token."""
    scheme = HTTPBearer(auto_error=False, scheme_name="PartnerKey", description=_KEY)

    async def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(scheme)]) -> None:
        _let_through(None if given is None else given.credentials, secret)

    return Depends(check)


def guard_by_header(secret: bytes, header: str) -> Any:
    """The same for a partner that wants the key bare in a header of its own."""
    scheme = APIKeyHeader(name=header, auto_error=False, scheme_name="PartnerKey", description=_KEY)

    async def check(given: Annotated[str | None, Depends(scheme)]) -> None:
        _let_through(given, secret)

    return Depends(check)


def _let_through(given: str | None, secret: bytes) -> None:
    if given is None or not hmac.compare_digest(given.encode(), api_key(secret).encode()):
        raise fault(403, "the caller is not known")
