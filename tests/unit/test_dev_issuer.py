"""Development tokens: exactly the claims that were asked for, signed with a key that only the home holds."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import ECKey

from broker.api.dev_issuer import ALGORITHM, ISSUER, issue, public_keys
from broker.kernel.words import Role


def token(home: Path, **changed: Any) -> str:
    claims: dict[str, Any] = {
        "sub": "ana",
        "agency": "ICE-HSI",
        "roles": [Role.ANALYST, Role.REVIEWER],
        "training_valid_until": date(2030, 1, 31),
        "partners": ["cbp-atsp"],
        "audience": "somebody",
        "lifetime": timedelta(hours=2),
    }
    return issue(home, **{**claims, **changed})


def test_the_claims_are_those_of_the_contract(tmp_path: Path) -> None:
    claims = jwt.decode(token(tmp_path), public_keys(tmp_path), algorithms=[ALGORITHM]).claims
    told = {name: claims[name] for name in ("iss", "aud", "sub", "agency", "roles", "training_valid_until", "partners")}
    assert told == {
        "iss": ISSUER,
        "aud": "somebody",
        "sub": "ana",
        "agency": "ICE-HSI",
        "roles": ["analyst", "reviewer"],
        "training_valid_until": "2030-01-31",
        "partners": ["cbp-atsp"],
    }
    assert claims["exp"] - claims["iat"] == 7200
    assert abs(claims["iat"] - datetime.now(UTC).timestamp()) < 60


def test_the_key_is_private_and_its_public_half_holds_no_secret(tmp_path: Path) -> None:
    token(tmp_path)
    file = tmp_path / "keys" / "dev-issuer.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "d" in json.loads(file.read_bytes())
    assert all("d" not in key for key in public_keys(tmp_path).as_dict()["keys"])


def test_a_token_of_another_home_is_worth_nothing_here(tmp_path: Path) -> None:
    mine = public_keys(tmp_path / "mine")
    elsewhere = jwt.decode(token(tmp_path / "other"), public_keys(tmp_path / "other"), algorithms=[ALGORITHM])
    assert elsewhere.claims["sub"] == "ana"
    with pytest.raises(InvalidKeyIdError):
        jwt.decode(token(tmp_path / "other"), mine, algorithms=[ALGORITHM])
    # Nor does it help to borrow the name of the key.
    forged = jwt.encode({"alg": ALGORITHM, "kid": mine.keys[0].kid}, elsewhere.claims, ECKey.generate_key("P-256"))
    with pytest.raises(BadSignatureError):
        jwt.decode(forged, mine, algorithms=[ALGORITHM])


def test_two_tokens_are_never_the_same(tmp_path: Path) -> None:
    assert token(tmp_path) != token(tmp_path)
