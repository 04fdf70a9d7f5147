"""Errors as RFC 9457 problem details, mapped once.

Nothing that was sent in comes back out, nor any driver's or partner's text. The 404 body is the same bytes for
everything that is not there, not for this caller, or not even an id; it carries no `instance`.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from broker.api.multipart import InvalidBody
from broker.kernel.errors import BrokerError, Invalid, NotFound, Unauthenticated, Unavailable
from broker.kernel.ids import new_id

MEDIA_TYPE: Final = "application/problem+json"
_log = structlog.get_logger(__name__)
# Pydantic's own words for these repeat what was sent.
_NEUTRAL: Final = {
    "extra_forbidden": "has a member that is not known",
    "union_tag_invalid": "is of a kind that is not known",
    "uuid_parsing": "is not a UUID",
    "url_parsing": "is not a URL",
    "url_syntax_violation": "is not a URL",
}
_TITLES: Final = {
    400: ("bad-request", "The request cannot be read"),
    404: (NotFound.slug, NotFound.title),
    405: ("method-not-allowed", "This resource does not take this method"),
    413: ("too-large", "The request is larger than this service takes"),
    415: ("unsupported-media-type", "The request is in a form this service does not take"),
}


def problem(
    status: int, slug: str, title: str, detail: str = "", *, occurrence: str | None = None, **members: Any
) -> Response:
    """One problem document. *members* are extension members, already free of input."""
    body: dict[str, Any] = {"type": f"urn:interagency-broker:problem:{slug}", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    if occurrence is not None:
        body["instance"] = f"urn:interagency-broker:occurrence:{occurrence}"
    headers = {"WWW-Authenticate": "Bearer"} if status == Unauthenticated.status else None
    content = json.dumps({**body, **members}, ensure_ascii=False)
    return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def not_found() -> Response:
    """The one 404."""
    return problem(NotFound.status, NotFound.slug, NotFound.title)


def install(app: FastAPI) -> None:
    """Put the handlers on *app*."""
    app.add_exception_handler(BrokerError, _broker_error)
    app.add_exception_handler(InvalidBody, _invalid_part)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(SQLAlchemyError, _storage_error)
    # The audit is written by the driver itself, so its failures come without SQLAlchemy around them.
    app.add_exception_handler(psycopg.Error, _storage_error)
    app.add_exception_handler(Exception, _unexpected)


async def _broker_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BrokerError)
    if isinstance(error, NotFound):
        return not_found()
    occurrence = new_id("occ")
    if error.status >= 500:
        _log.error("request_failed", occurrence=occurrence, slug=error.slug, detail=error.detail)
        return problem(error.status, error.slug, error.title, occurrence=occurrence)
    members = {"pointer": error.pointer} if isinstance(error, Invalid) and error.pointer else {}
    return problem(error.status, error.slug, error.title, error.detail, occurrence=occurrence, **members)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem(400, *_TITLES[400], "the body is not JSON", occurrence=new_id("occ"))
    # A path id of the wrong shape must look like one that is not there.
    if any(fault["loc"][:1] == ("path",) for fault in faults):
        return not_found()
    return _faults(faults, "")


def _faults(faults: Sequence[Any], prefix: str) -> Response:
    errors = [{"pointer": prefix + _pointer(fault), "problem": _words(fault)} for fault in faults]
    return problem(422, Invalid.slug, Invalid.title, "see `errors`", occurrence=new_id("occ"), errors=errors)


async def _invalid_part(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidBody)
    return _faults(error.fault.errors(include_input=False, include_url=False, include_context=False), "/request")


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == NotFound.status:
        return not_found()
    slug, title = _TITLES.get(error.status_code, ("request-refused", "The request was refused"))
    response = problem(error.status_code, slug, title, occurrence=new_id("occ"))
    allowed = (error.headers or {}).get("Allow")
    if allowed is not None:
        response.headers["Allow"] = allowed
    return response


async def _storage_error(_request: Request, error: Exception) -> Response:
    occurrence = new_id("occ")
    # SQLAlchemy's class is one for many causes; the driver's says whether the disk is full or a lock was not to be had.
    kind = type(getattr(error, "orig", None) or error).__name__
    _log.error("storage_failed", occurrence=occurrence, kind=kind, exc_info=error)
    return problem(Unavailable.status, Unavailable.slug, Unavailable.title, occurrence=occurrence)


async def _unexpected(_request: Request, error: Exception) -> Response:
    occurrence = new_id("occ")
    _log.error("request_broke", occurrence=occurrence, kind=type(error).__name__, exc_info=error)
    return problem(500, BrokerError.slug, BrokerError.title, occurrence=occurrence)


def _pointer(fault: dict[str, Any]) -> str:
    steps = [str(step) for step in fault["loc"] if step not in ("body", "query", "header")]
    if fault["type"] == "extra_forbidden":
        steps = steps[:-1]  # The name of an unknown member is the caller's own text.
    return "".join(f"/{step}" for step in steps)


def _words(fault: dict[str, Any]) -> str:
    if fault["type"] in _NEUTRAL:
        return _NEUTRAL[fault["type"]]
    if fault["type"] in {"value_error", "assertion_error", "string_pattern_mismatch"}:
        return str(fault["msg"]).removeprefix("Value error, ")
    return str(fault["msg"])
