"""The full statement of the API, written from the routes."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from broker.api.problems import MEDIA_TYPE
from broker.api.schemas.searches import SearchBody

_REF: Final = "#/components/schemas/"
_OPEN: Final = ("/healthz", "/readyz", "/metrics")
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457 problem details. It never repeats what was sent.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "Names this occurrence in the service's log; never on a 404"},
        "pointer": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def describe(app: FastAPI) -> None:
    """Make *app* state its API in full: the multipart part's schema, the problems, and who may call without a token."""

    def statement() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _statement(app)
        return app.openapi_schema

    app.openapi = statement  # type: ignore[method-assign]


def _statement(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=(
            "Sends probe-photo searches to partner systems, marks each result with its owner, and passes nothing on "
            "without each owner's recorded permission. Candidates are leads, never identifications."
        ),
        routes=app.routes,
    )
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    body = SearchBody.model_json_schema(ref_template=_REF + "{model}")
    schemas.update(body.pop("$defs", {}))
    schemas["SearchBody"] = body
    schemas["Problem"] = _PROBLEM
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for path, operations in made["paths"].items():
        for operation in operations.values():
            if path not in _OPEN and not path.startswith("/v1/callbacks/"):
                operation["security"] = [{"bearer": []}]
            responses = operation["responses"]
            responses.pop("422", None)
            responses["default"] = {
                "description": "A problem",
                "content": {MEDIA_TYPE: {"schema": {"$ref": _REF + "Problem"}}},
            }
    return made
