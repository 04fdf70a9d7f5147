"""The issuer that a development installation brings along: its key lies in the home, and whoever may read that may be
anybody. The API accepts these tokens only while no production issuer is set, and no command makes one then.
"""

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from broker.kernel.words import Role
from broker.storage.keys import load_or_create

ISSUER: Final = "urn:interagency-request-broker:development"
ALGORITHM: Final = "ES256"
_KEY_FILE: Final = "dev-issuer.json"


def public_keys(home: Path) -> KeySet:
    """What development tokens of *home* are checked with; the key is made on first use, by whoever comes first."""
    return KeySet([ECKey.import_key(_key(home).as_dict(private=False))])


def issue(
    home: Path,
    *,
    sub: str,
    agency: str,
    roles: Sequence[Role],
    training_valid_until: date,
    partners: Sequence[str],
    audience: str,
    lifetime: timedelta,
) -> str:
    """A signed token with exactly these claims. The caller has made sure that no production issuer is set."""
    key = _key(home)
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": sub,
        "agency": agency,
        "roles": [role.value for role in roles],
        "training_valid_until": training_valid_until.isoformat(),
        "partners": list(partners),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key)


def _key(home: Path) -> ECKey:
    return ECKey.import_key(json.loads(load_or_create(home / "keys" / _KEY_FILE, _make)))


def _make() -> bytes:
    key = ECKey.generate_key("P-256", parameters={"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    return json.dumps(key.as_dict(private=True)).encode()
