"""Single calls to the service, where one is needed before the measuring."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


def post(url: str, path: str, token: str, body: Any, expected: int) -> Any:
    """POST JSON; the JSON of an answer that has to have this status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(body), headers)
        reply = connection.getresponse()
        answer = json.loads(reply.read())
    finally:
        connection.close()
    if reply.status != expected:
        raise RuntimeError(f"{path} was answered with {reply.status}: {answer}")
    return answer


def open_case(url: str, token: str) -> str:
    """A case of the caller's component; its id."""
    opened = post(url, "/v1/cases", token, {"reference": "BENCH-0001", "title": "Invented case"}, 201)
    return str(opened["id"])
