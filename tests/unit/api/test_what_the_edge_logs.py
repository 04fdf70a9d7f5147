"""What the log says of a call that was not served: enough to find the reason, and nothing that was sent."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs

from broker.api import problems
from broker.api.auth import Authenticator
from broker.api.jwks import JwksSource
from broker.app import bare_app
from broker.kernel.errors import Unauthenticated, Unavailable
from broker.partners.callbacks import SIGNATURE_HEADER, sign
from broker.search.callbacks import Taken

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = OKPKey.generate_key("Ed25519", {"kid": "one"})
CLAIMS = {
    "iss": "https://issuer.example.invalid",
    "aud": "broker",
    "exp": int(NOW.timestamp()) + 60,
    "sub": "ana",
    "agency": "ICE-HSI",
    "roles": ["analyst"],
}


class Clock:
    def now(self) -> datetime:
        return NOW


async def keys() -> KeySet:
    return KeySet([KEY])


def refused(**changed: Any) -> dict[str, Any]:
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}
    token = jwt.encode({"alg": "Ed25519", "kid": "one"}, claims, KEY, algorithms=["Ed25519"])
    authenticator = Authenticator(keys, CLAIMS["iss"], "broker", Clock())  # type: ignore[arg-type]
    with capture_logs() as logs, pytest.raises(Unauthenticated):
        asyncio.run(authenticator.caller(f"Bearer {token}"))
    [line] = logs
    return dict(line)


@pytest.mark.parametrize(
    ("changed", "claims"),
    [
        ({"aud": "CANARY"}, ["aud"]),
        ({"iss": None}, ["iss"]),
        ({"exp": 1}, ["exp"]),
        ({"agency": None, "roles": ["CANARY"]}, ["agency", "roles"]),
        ({"training_valid_until": "CANARY"}, ["training_valid_until"]),
    ],
)
def test_a_refused_token_is_logged_with_the_names_of_its_claims_alone(
    changed: dict[str, Any], claims: list[str]
) -> None:
    line = refused(**changed)
    assert line["claims"] == claims
    assert "CANARY" not in str(line)


def test_an_issuer_that_is_away_is_logged_with_what_was_wrong() -> None:
    with capture_logs() as logs, pytest.raises(Unavailable):
        asyncio.run(JwksSource("http://127.0.0.1:1/keys", Clock()).keys())
    assert [(line["event"], line["why"], line["kept"]) for line in logs] == [
        ("issuer_keys_not_fetched", "unreachable", False)
    ]


def test_a_full_disk_is_logged_as_one() -> None:
    told = DBAPIError.instance("INSERT", None, psycopg.errors.DiskFull("full"), psycopg.Error)
    assert isinstance(told, OperationalError)
    with capture_logs() as logs:
        asyncio.run(problems._storage_error(None, told))  # type: ignore[arg-type]
    assert [line["kind"] for line in logs] == ["DiskFull"]


def test_a_callback_that_overtakes_its_submission_is_no_failure() -> None:
    class Callbacks:
        async def take(self, *_: object) -> Taken:
            return Taken.NOT_YET

    partner = SimpleNamespace(secret=lambda: b"s" * 32)
    app = bare_app()
    app.state.services = SimpleNamespace(
        registry=SimpleNamespace(find=lambda _name: partner, entries=list), clock=Clock(), callbacks=Callbacks()
    )
    target = "/v1/callbacks/dos-ccd?transactionId=a&taskId=b"
    signature = sign(b"s" * 32, method="POST", target=target, body=b"{}", at=NOW)

    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://broker.invalid") as client:
            return await client.post(target, content=b"{}", headers={SIGNATURE_HEADER: signature})

    with capture_logs() as logs:
        response = asyncio.run(call())
    assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
    assert [line for line in logs if line["log_level"] in {"error", "warning"}] == []
