"""Every route of the API, called by somebody with ids that are not theirs to know, and all that comes back."""

import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.support.edge import Edge

_MOMENT: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_OWN_PROCESS: Final = re.compile(rb"^(#.*|(process|python)_\S.*)$", re.MULTILINE)
_PROCESS_ID: Final = re.compile(rb"prc_[a-z0-9]+")
_SECONDS: Final = re.compile(rb"^(broker_\S*_seconds\S*) \S+$", re.MULTILINE)
_UNSTEADY: Final = {"date", "content-length"}
_WRITTEN: Final = "written by the observer"


@dataclass(frozen=True)
class Hidden:
    """Ids of what the observer may not know of, by the name that a path or a body gives them."""

    item: str
    lead: str
    search: str
    case: str
    request: str
    candidate: str
    grant: str
    notification: str

    def named(self, name: str) -> tuple[str, ...]:
        """What a path parameter of that name is filled with."""
        by_name = {
            "item_id": (self.item, self.lead),
            "search_id": (self.search,),
            "case_id": (self.case,),
            "request_id": (self.request,),
            "grant_id": (self.grant,),
            "notification_id": (self.notification,),
        }
        return by_name.get(name, (self.item, self.search, "x"))


def bodies(hidden: Hidden, own_case: str) -> dict[tuple[str, str], list[Any]]:
    """Bodies that reach as far as a body can for the routes that take one; every other route gets an empty one."""
    wishes = [_wish(item, own_case) for item in (hidden.item, hidden.lead)]
    parts = [[{"text": _WRITTEN, "sources": [{"item": item}]}] for item in (hidden.item, hidden.lead)]
    parts.append([{"text": _WRITTEN, "sources": [{"item": hidden.item, "selector": "/candidates/0/reference"}]}])
    asked = [
        {"item": w["item"], "recipient": "DOJ", "action": "release", "purpose": w["purpose"], "case_id": own_case}
        for w in wishes
    ]
    return {
        ("post", "/v1/releases"): wishes,
        ("post", "/v1/decisions"): wishes,
        ("post", "/v1/releases/held"): wishes,
        ("post", "/v1/releases/{release_id}/acceptance"): [{"caveats": []}],
        ("post", "/v1/releases/{release_id}/ratification"): [{"decision": "refused"}],
        ("post", "/v1/admin/grants"): [grant_of("CBP", hidden.item)],
        ("post", "/v1/admin/grants/{grant_id}/supersede"): [grant_of("CBP", hidden.item)],
        ("post", "/v1/admin/grants/{grant_id}/revoke"): [{"reason": "r"}],
        ("post", "/v1/admin/grants/{grant_id}/entered-in-error"): [{"reason": "r"}],
        ("post", "/v1/items/{item_id}/lift"): [{"reason": "r"}],
        ("post", "/v1/items"): [{"kind": "note", "title": "n", "case_id": own_case, "parts": one} for one in parts],
        ("post", "/v1/permission-requests"): asked,
        ("post", "/v1/items/{item_id}/reviews"): [
            {"dispositions": [{"candidate": hidden.candidate, "disposition": "excluded"}]}
        ],
        ("post", "/v1/items/{item_id}/notices"): [{"kind": "disputed", "text": _WRITTEN}],
        ("post", "/v1/cases"): [{"reference": "OBS-1", "title": "the observer's own"}],
        ("post", "/v1/imports"): [
            {"case_id": own_case, "package": {"item": {"id": item, "content": {"candidates": []}}}}
            for item in (hidden.item, hidden.lead)
        ],
        ("post", "/v1/items/{item_id}/verification-requests"): [{"note": _WRITTEN}],
        ("post", "/v1/items/{item_id}/verifications"): [{"outcome": "not_confirmed"}],
        ("post", "/v1/items/{item_id}/outcomes"): [{"outcome": "refuted"}],
        ("post", "/v1/items/{item_id}/actions"): [
            {
                "action": "a",
                "description": _WRITTEN,
                "corroborations": [{"kind": "record", "description": "d", "source": {"item": hidden.item}}],
            }
        ],
        ("post", "/v1/permission-requests/{request_id}/decision"): [{"decision": "denied", "note": "n"}],
        ("post", "/v1/permission-requests/{request_id}/information"): [{"text": _WRITTEN}],
    }


def calls(edge: Edge, hidden: Hidden, own_case: str, closed: AbstractSet[str]) -> Iterator[tuple[str, str, str, Any]]:
    """Route, method, path and body of every call: each open route with each id that fits it and each body there is."""
    prepared = bodies(hidden, own_case)
    for path, methods in sorted(edge.app.openapi()["paths"].items()):
        for method in sorted(methods):
            route = f"{method.upper()} {path}"
            if route in closed:
                continue
            takes = prepared.get((method, path), [{}] if method in ("post", "put", "patch") else [None])
            for filled in _filled(path, hidden):
                for body in takes:
                    yield route, method.upper(), filled, body


async def swept(
    edge: Edge,
    token: str,
    hidden: Hidden,
    own_case: str,
    key: str,
    closed: AbstractSet[str],
    begin: Callable[[str], None],
) -> tuple[list[tuple[str, Any]], set[str]]:
    """What each call gave, without what differs between any two moments and any two processes.

    Also the routes that the caller's role may not call at all, whatever is asked. Once both sides have refused one of
    these alike, later sweeps may name it in *closed* and leave it out.
    """
    seen, shut = [], set()
    for number, (route, method, path, body) in enumerate(calls(edge, hidden, own_case, closed)):
        response = await edge.call(
            token, method, path, key=f"{key}-{number}", **({} if body is None else {"json": body})
        )
        if response.status_code == 403 and b"none of your roles" in response.content:
            shut.add(route)
        seen.append((f"{method} {path} {body}", face(response, path)))
    return seen, shut


def face(response: httpx.Response, path: str) -> Any:
    """Status, headers and bytes of an answer."""
    content = _MOMENT.sub(b"<moment>", response.content)
    if path == "/metrics":
        content = _OWN_PROCESS.sub(b"", content)
    if path.startswith("/v1/service/"):
        # Which process answers, and how long ago something was; never how much of it there is.
        content = _SECONDS.sub(rb"\1", _PROCESS_ID.sub(b"<process>", content))
    headers = sorted((name, value) for name, value in response.headers.items() if name not in _UNSTEADY)
    return response.status_code, headers, content


def _filled(path: str, hidden: Hidden) -> Iterator[str]:
    found = re.search(r"\{(\w+)\}", path)
    if found is None:
        yield path
        return
    for value in hidden.named(found.group(1)):
        yield from _filled(path.replace(found.group(0), value), hidden)


def _wish(item: str, case: str) -> dict[str, Any]:
    return {
        "item": item,
        "recipient": {"agency": "DOJ", "person": "R. Invented", "address": "1 Sample Street"},
        "action": "release",
        "purpose": "criminal_investigation",
        "case_id": case,
    }


def grant_of(owner: str, item: str) -> dict[str, Any]:
    return {
        "owner": owner,
        "recipients": ["STATE-EX-POLICE"],
        "action": "release",
        "purposes": ["criminal_investigation"],
        "scope": {"items": [item]},
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2099-01-01T00:00:00Z",
        "evidence": {"reference": "an invented letter", "sha256": "0" * 64},
    }


def routes(edge: Edge) -> list[str]:
    """Every route, as `calls` names it."""
    return [
        f"{method.upper()} {path}"
        for path, methods in sorted(edge.app.openapi()["paths"].items())
        for method in methods
    ]
