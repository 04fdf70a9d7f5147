"""Content at rest: each thing is sealed with a key of its own, and that key with a key kept outside the database.

Destroying the one small wrapped key is therefore a purge. AES-256-GCM both times; the id of the thing is bound in
as associated data, so that a sealed content moved to another row does not open.
"""

import hmac
import os
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE: Final = 12
KEY_BYTES: Final = 32


class SealBroken(Exception):
    """The sealed bytes do not open: altered, moved to another row, or sealed under another key."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is stored: the content under its own key, and that key wrapped. Each begins with its 12-byte nonce."""

    wrapped_key: bytes
    ciphertext: bytes


def make_key() -> bytes:
    """A fresh key of 32 random bytes."""
    return AESGCM.generate_key(bit_length=256)


class Sealer:
    """Seals and opens with one outer key of 32 bytes."""

    def __init__(self, outer_key: bytes) -> None:
        if len(outer_key) != KEY_BYTES:
            raise ValueError("the sealing key must be 32 bytes")
        self._outer = AESGCM(outer_key)
        self._fingerprints = hmac.digest(outer_key, b"fingerprints", "sha256")
        self.name = hmac.digest(outer_key, b"name", "sha256")
        """Tells this key from others, and nothing else about it."""

    def fingerprint(self, content: bytes) -> bytes:
        """A hash by which the same content is known again, and which nobody without the key can try contents against."""
        return hmac.digest(self._fingerprints, content, "sha256")

    def seal(self, content: bytes, bound_to: str) -> Sealed:
        """Seal *content* under a new key, bound to the id *bound_to*."""
        inner = make_key()
        aad = bound_to.encode()
        return Sealed(
            wrapped_key=_encrypt(self._outer, inner, aad),
            ciphertext=_encrypt(AESGCM(inner), content, aad),
        )

    def wrapped(self, wrapped_key: bytes, bound_to: str) -> bool:
        """Whether that wrapped key was wrapped with this sealer's key."""
        try:
            _decrypt(self._outer, wrapped_key, bound_to.encode())
        except (InvalidTag, ValueError):
            return False
        return True

    def open(self, sealed: Sealed, bound_to: str) -> bytes:
        """The content; raises SealBroken when anything about it is not as it was sealed."""
        aad = bound_to.encode()
        try:
            inner = _decrypt(self._outer, sealed.wrapped_key, aad)
            return _decrypt(AESGCM(inner), sealed.ciphertext, aad)
        except (InvalidTag, ValueError) as cause:
            raise SealBroken(bound_to) from cause


def _encrypt(key: AESGCM, content: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, content, aad)


def _decrypt(key: AESGCM, stored: bytes, aad: bytes) -> bytes:
    return key.decrypt(stored[:_NONCE], stored[_NONCE:], aad)
