"""No body, however wrong, is an error of ours, and nothing of it comes back."""

import json
from typing import Any

import pytest

from tests.scenarios.world import HIT, World, answered, fresh, refused, small_jpeg

CANARY = "CANARY-7f3a9c"
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(scope="module")
def case(world: World) -> str:
    return world.case()


def send(world: World, parts: Any, **headers: str) -> Any:
    return world.analyst.post("/v1/searches", files=parts, headers={"Idempotency-Key": fresh(), **headers})


def request_part(world: World, case: str, **changes: Any) -> tuple[None, str, str]:
    return (None, json.dumps(world.terms(case, partners=["cbp-atsp"], **changes)), "application/json")


PROBE = ("p.jpg", HIT, "image/jpeg")


def test_exactly_two_parts(world: World, case: str) -> None:
    good = request_part(world, case)
    for parts in (
        [("request", good)],
        [("probe", PROBE)],
        [("request", good), ("request", good), ("probe", PROBE)],
        [("request", good), ("probe", PROBE), ("probe", PROBE)],
        [("request", good), ("probe", PROBE), ("more", (None, CANARY, "text/plain"))],
        [("request", good), ("probe", PROBE), (CANARY, (CANARY, b"x", "text/plain"))],
        [("Request", good), ("probe", PROBE)],
        [("request", good)] + [("probe", PROBE)] * 50,
    ):
        response = send(world, parts)
        refused(response, 422)
        assert CANARY not in response.text


def test_a_huge_request_part_is_refused(world: World, case: str) -> None:
    for size in (150_000, 5_000_000):
        long = request_part(world, case, basis_text="x" * size)
        assert send(world, [("request", long), ("probe", PROBE)]).status_code in (413, 422)
        as_file = ("request.json", long[1], "application/json")
        assert send(world, [("request", as_file), ("probe", PROBE)]).status_code in (413, 422)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=x",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 1000,
        "multipart/form-data; boundary=x; charset=utf-16",
        "multipart/form-data; boundary=x; charset=nonsense",
        "text/plain",
        "",
    ],
)
def test_another_content_type(world: World, kind: str) -> None:
    headers = {"Idempotency-Key": fresh(), "Content-Type": kind}
    for content in (
        b"",
        b"{}",
        b"--x\r\n\r\n",
        b'--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n' + b"x" * 1000,
    ):
        response = world.analyst.post("/v1/searches", content=content, headers=headers)
        assert response.status_code in (415, 422), response.text
        refused(response, response.status_code)


REQUESTS: dict[str, str] = {
    "unknown member": '{"CANARY-7f3a9c": 1, %s}',
    "twice the same": '{"purpose": "criminal_investigation", %s}',
    "nan": '{"max_candidates": NaN, %s}',
    "infinity": '{"deadline_seconds": Infinity, %s}',
    "too large": '{"deadline_seconds": 1e400, %s}',
    "deep": '{"edits": ' + DEEP[:20_000] + ", %s}",
    "not json": '{"x": CANARY-7f3a9c, %s}',
    "trailing": "{%s} CANARY-7f3a9c",
    "bom": "\ufeff{%s}",
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_part_that_two_readers_would_read_differently(world: World, case: str, name: str) -> None:
    members = json.dumps(world.terms(case))[1:-1]
    if name == "nan":
        members = members.replace('"max_candidates": 20, ', "")
    text = REQUESTS[name].replace("%s", members)
    response = send(world, [("request", (None, text, "application/json")), ("probe", PROBE)])
    refused(response, 422)
    assert CANARY not in response.text


def test_a_request_part_that_is_not_text(world: World) -> None:
    for raw in (b"\xff\xfe{}", b"\x00", b"", b"null", b"[]", b'"CANARY-7f3a9c"', b"12", DEEP.encode()[:90_000]):
        response = send(world, [("request", ("r.json", raw, "application/json")), ("probe", PROBE)])
        refused(response, 422)
        assert CANARY not in response.text


WRONG: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    CANARY,
    "\u0000",
    "\ud800",
    [],
    [CANARY],
    {},
    {CANARY: CANARY},
    "x" * 30_000,
]


def ways(body: Any, path: tuple[Any, ...] = ()) -> Any:
    """Every place in a body."""
    if path:
        yield path
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inner:
        yield from ways(value, (*path, key))


def with_value(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[path[0]] = with_value(copy[path[0]], path[1:], value)
    return copy


def bodies(world: World) -> dict[str, tuple[Any, str, Any]]:
    lead = world.dos_lead()
    listed = world.material["dos-ccd"]
    part = {"text": "t", "sources": [{"item": listed, "selector": "/candidates"}]}
    item = {"kind": "note", "title": "t", "case_id": world.material["case"], "parts": [part]}
    review = {"dispositions": [{"candidate": "c1", "disposition": "excluded", "note": "n"}]}
    grant = world.grant_body("DOS", lead, fields=["/title"], max_uses=5, caveats=["lead_only"])
    return {
        "case": (world.analyst, "/v1/cases", {"reference": "r", "title": "t"}),
        "item": (world.analyst, "/v1/items", item),
        "review": (world.as_("ICE-HSI", "reviewer", sub="rud"), f"/v1/items/{listed}/reviews", review),
        "decision": (world.analyst, "/v1/decisions", world.wish(lead, fields=["/title"], exigent=False)),
        "release": (world.analyst, "/v1/releases", world.wish(lead, fields=["/title"], exigent=False)),
        "grant": (world.officer("DOS"), "/v1/admin/grants", grant),
        "revocation": (world.officer("DOS"), "/v1/admin/grants/gra_" + "a" * 26 + "/revoke", {"reason": "r"}),
    }


@pytest.mark.parametrize("name", ["case", "item", "review", "decision", "release", "grant", "revocation"])
def test_a_wrong_value_anywhere_is_told_without_being_repeated(world: World, name: str) -> None:
    who, path, body = bodies(world)[name]
    headers = {"Content-Type": "application/json", "Idempotency-Key": fresh()}
    for place in ways(body):
        for value in WRONG:
            content = json.dumps(with_value(body, place, value)).encode()
            response = who.post(path, content=content, headers={**headers, "Idempotency-Key": fresh()})
            assert response.status_code < 500, (place, value, response.text)
            if response.status_code >= 400:
                refused(response, response.status_code)
                assert CANARY not in response.text, (place, value)
                assert "x" * 50 not in response.text


@pytest.mark.parametrize("name", ["case", "item", "review", "decision", "release", "grant", "revocation"])
def test_a_body_that_two_readers_would_read_differently(world: World, name: str) -> None:
    who, path, body = bodies(world)[name]
    text = json.dumps(body)
    first = next(iter(body))
    for content in (
        text[:-1] + f', "{CANARY}": 1}}',
        f'{{"{first}": {json.dumps(body[first])}, ' + text[1:],
        f'{{"{first}": NaN, ' + text[1:],
        text + CANARY,
        text[:-5],
        DEEP,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        f'"{CANARY}"',
        "[]",
        "null",
        "",
        "1e400",
    ):
        headers = {"Content-Type": "application/json", "Idempotency-Key": fresh()}
        response = who.post(path, content=content.encode(), headers=headers)
        assert response.status_code in (400, 422), (content[:60], response.status_code, response.text[:300])
        refused(response, response.status_code)
        assert CANARY not in response.text


def test_a_body_that_is_too_long_is_not_read(world: World) -> None:
    response = world.analyst.post("/v1/cases", json={"reference": "x" * 2_000_000, "title": CANARY})
    assert response.status_code in (413, 422)
    refused(response, response.status_code)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/cases?limit=0",
        "/v1/cases?limit=1000000",
        "/v1/cases?limit=x",
        "/v1/cases?after=%00",
        "/v1/cases?after=%27--",
        "/v1/searches?limit=1e400",
        "/v1/admin/grants?after=%ff",
        "/v1/audit/entries?subject=%00",
        "/v1/audit/entries?actor=%00CANARY-7f3a9c",
        "/v1/audit/entries?tag=%ed%a0%80",
        "/v1/audit/entries?since=CANARY-7f3a9c",
        "/v1/audit/entries?since=2017-13-45",
        "/v1/audit/entries?since=0001-01-01T00:00:00%2B23:59",
        "/v1/audit/entries?until=9999-12-31T23:59:59-23:59",
        "/v1/audit/entries?after=%00",
        "/v1/audit/entries?limit=-1",
        "/v1/audit/proof?event=%00",
        "/v1/audit/proof",
        "/v1/oversight/reports/searches?since=0001-01-01T00:00:00%2B23:59",
        "/v1/oversight/reports/searches?until=9999-12-31T23:59:59-23:59",
        "/v1/oversight/reports/searches?since=2030-01-01&until=2020-01-01",
        "/v1/oversight/reports/%00",
        "/v1/oversight/reports/CANARY-7f3a9c",
    ],
)
def test_a_query_is_never_an_error_of_ours(world: World, path: str) -> None:
    for who in (world.analyst, world.officer("DOS"), world.auditor):
        response = who.get(path)
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            refused(response, response.status_code)
            assert CANARY not in response.text


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "1e400", "x", ""])
def test_a_wait_that_is_none(world: World, wait: str) -> None:
    response = world.analyst.get(f"/v1/searches/{world.material['search']}", params={"wait": wait})
    assert response.status_code == 422, response.text


def test_a_body_that_is_in_order_is_taken(world: World) -> None:
    """Or the tests above would show nothing."""
    for name, (who, path, body) in bodies(world).items():
        if name not in ("review", "revocation", "release"):
            assert who.post(path, json=body, headers={"Idempotency-Key": fresh()}).status_code < 300, name
    answered(
        send(world, [("request", request_part(world, world.case())), ("probe", ("x", small_jpeg(), "image/jpeg"))]), 202
    )
