"""401 for everybody whose token is not, in every respect, one of this service's issuer."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from broker.api.dev_issuer import ALGORITHM, ISSUER, public_keys
from tests.scenarios.world import World, refused

ROUTES = [
    ("GET", "/v1/cases"),
    ("POST", "/v1/cases"),
    ("POST", "/v1/searches"),
    ("GET", "/v1/searches/sea_" + "a" * 26),
    ("GET", "/v1/items/itm_" + "a" * 26),
    ("POST", "/v1/releases"),
    ("POST", "/v1/admin/grants"),
    ("GET", "/v1/partners"),
    ("GET", "/v1/policies/current"),
    ("GET", "/v1/audit/entries"),
    ("GET", "/v1/oversight/reports/searches"),
]


def own_key(world: World) -> ECKey:
    public_keys(world.stack.home)  # Made by whoever comes first, which may be this test.
    return ECKey.import_key(json.loads((world.stack.home / "keys" / "dev-issuer.json").read_text()))


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    held = {
        "iss": ISSUER,
        "aud": "interagency-request-broker",
        "sub": "ana",
        "agency": "ICE-HSI",
        "roles": ["analyst"],
        "training_valid_until": "2030-01-01",
        "partners": [],
        "exp": int((now + timedelta(hours=1)).timestamp()),
        **changes,
    }
    return {name: value for name, value in held.items() if value is not None}


def signed(world: World, **changes: Any) -> str:
    key = own_key(world)
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims(**changes), key)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def status(world: World, token: str) -> int:
    response = world.stack.caller(token).get("/v1/cases")
    if response.status_code == 401:
        assert response.headers["www-authenticate"].startswith("Bearer")
        refused(response, 401)
    return response.status_code


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_token_nothing_is_answered(world: World, method: str, path: str) -> None:
    refused(world.stack.caller().request(method, path), 401)


def test_without_a_token_a_body_that_cannot_be_read_is_401_too(world: World) -> None:
    refused(world.stack.caller().post("/v1/cases", content=b"{", headers={"Content-Type": "application/json"}), 401)


def test_a_token_in_order_is_taken(world: World) -> None:
    assert status(world, signed(world)) == 200
    assert status(world, signed(world, aud=["somebody-else", "interagency-request-broker"])) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": int(datetime.now(UTC).timestamp()) - 60},
        {"exp": None},
        {"exp": "never"},
        {"nbf": int(datetime.now(UTC).timestamp()) + 3600},
        {"iss": "urn:somebody-else"},
        {"iss": ISSUER.upper()},
        {"iss": None},
        {"aud": "another-service"},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "ana\nolga"},
        {"sub": 7},
        {"sub": "x" * 300},
        {"agency": None},
        {"agency": ["ICE-HSI"]},
        {"roles": None},
        {"roles": []},
        {"roles": "analyst"},
        {"roles": ["Analyst"]},
        {"roles": ["analyst", "root"]},
        {"roles": [["analyst"]]},
        {"training_valid_until": 1893456000},
        {"training_valid_until": "2030-01-01T00:00:00Z"},
        {"partners": "cbp-atsp"},
    ],
    ids="-".join,  # The moments among the values differ from worker to worker; the names of the tests may not.
)
def test_a_claim_that_is_missing_wrong_or_past_is_401(world: World, changes: dict[str, Any]) -> None:
    assert status(world, signed(world, **changes)) == 401


@pytest.mark.parametrize("agency", ["DHSX", "ice-hsi", "ICE-HSI ", "*", "any", "within:DHS", "DОS"])
def test_an_agency_that_is_not_in_the_register_may_call_nothing(world: World, agency: str) -> None:
    refused(world.stack.caller(signed(world, agency=agency)).get("/v1/cases"), 403)


def test_without_a_signature_a_token_is_nothing(world: World) -> None:
    for alg in ("none", "None", "NONE", ""):
        unsigned = f"{part({'alg': alg, 'typ': 'JWT'})}.{part(claims())}."
        assert status(world, unsigned) == 401
        assert status(world, unsigned + part(b"x")) == 401


def test_the_public_key_is_no_shared_secret(world: World) -> None:
    key = own_key(world)
    for secret in (
        key.as_pem(private=False),
        key.as_der(private=False),
        json.dumps(key.as_dict(private=False)).encode(),
        key.as_dict(private=False)["x"].encode(),
    ):
        # By hand, as a library that knows better refuses to.
        unsigned = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': key.kid})}.{part(claims())}"
        forged = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
        assert status(world, f"{unsigned}.{part(forged)}") == 401


def test_another_key_does_not_speak_for_the_issuer(world: World) -> None:
    other = ECKey.generate_key("P-256", auto_kid=True)
    for header in (
        {"alg": ALGORITHM, "kid": other.kid},
        {"alg": ALGORITHM, "kid": own_key(world).kid},
        {"alg": ALGORITHM},
        {"alg": ALGORITHM, "kid": "../../dev/null"},
        {"alg": ALGORITHM, "jwk": other.as_dict(private=False)},
    ):
        assert status(world, jwt.encode(header, claims(), other)) == 401


def test_a_token_that_was_changed_is_nothing(world: World) -> None:
    header, body, signature = signed(world).split(".")
    stronger = part(claims(roles=["admin", "release_officer"]))
    assert status(world, f"{header}.{stronger}.{signature}") == 401
    assert status(world, f"{header}.{body}.{signature[:-4]}AAAA") == 401
    assert status(world, f"{header}.{body}.{'A' * len(signature)}") == 401


@pytest.mark.parametrize(
    "token",
    [
        "x",
        ".",
        "..",
        "....",
        "a.b.c",
        "a.b.c.d.e",
        f"{part([])}.{part([])}.",
        f"{part({'alg': ['ES256']})}.{part({})}.AAAA",
        f"{part({'alg': 'ES256', 'crit': ['b64'], 'b64': False})}.{part({})}.AAAA",
        f"{part({'alg': 'dir', 'enc': 'A256GCM'})}..{part(b'0' * 12)}.{part(b'x')}.{part(b'0' * 16)}",
        f"{part({'alg': 'ES256', 'kid': 5})}.{part({})}.AAAA",
        f"{part(b'{' * 3000)}.{part({})}.AAAA",
        f"{part({'alg': 'ES256'})}.{part(b'[' * 3000)}.AAAA",
        "A" * 20_000,
        "é.ü.ß",
    ],
    ids=lambda token: token[:24],
)
def test_what_is_no_token_is_401_and_never_an_error_of_ours(world: World, token: str) -> None:
    response = world.stack.caller().get("/v1/cases", headers={"Authorization": f"Bearer {token}".encode()})
    assert response.status_code == 401, response.text


@pytest.mark.parametrize("scheme", ["Basic", "bearer:", "Token", ""])
def test_another_scheme_is_401(world: World, scheme: str) -> None:
    header = f"{scheme} {signed(world)}".strip()
    assert world.stack.caller().get("/v1/cases", headers={"Authorization": header}).status_code == 401
