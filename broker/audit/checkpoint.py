"""Signed heads of the audit's tree: a short text that an owner keeps, so that nobody can rewrite what lies before it.

The text is a C2SP signed note with a tlog-checkpoint as its body, so that tools of transparency logs read it::

    interagency-request-broker/audit      origin, which is also the name of the key
    5                                     number of leaves
    2kHbn…=                               root over them (RFC 6962), base64
    at 2026-01-31T08:15:30.123456Z        when it was signed
    since 3 Zm9v…=                        the checkpoint before had 3 leaves; root over leaves 3 and 4 alone

    — interagency-request-broker/audit q83v…=

The last line carries four bytes that name the key, then the Ed25519 signature of everything above the empty line.
The root since the last checkpoint lets a verifier tell, one by one, which stretches of the log were altered.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict

from broker.audit.leaf import moment
from broker.kernel.errors import ConfigurationError
from broker.storage.keys import load_or_create

ORIGIN: Final = "interagency-request-broker/audit"
_DASH: Final = "\N{EM DASH}"
_ED25519: Final = b"\x01"
ROW: Final = "size, root, since, since_root, extract(epoch FROM at)::text, key_id, signature"
"""The select list that `Checkpoint.of_row` reads."""
KEY_FILE: Final = "audit-signing.key"
EARLIER_KEYS_FILE: Final = "audit-earlier.pub"
_COPY: Final = "copy keys/ from a machine whose worker signs it"


class Unreadable(ValueError):
    """The text is not a checkpoint, or not a public key, as it is written here."""


class Checkpoint(BaseModel):
    """A head of the tree and who signed it. Nothing in it is to be believed before `verify_checkpoint`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int
    root: bytes
    since: int
    """Size of the checkpoint before, 0 for the first."""
    since_root: bytes
    """Root over the leaves from `since` on, taken as a tree of their own."""
    at: str | None
    """RFC 3339 in UTC, as it was signed; None only where somebody has removed it."""
    key_id: str = ""
    signature: bytes = b""

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """From a row of ``audit_checkpoint`` read with `ROW`."""
        size, root, since, since_root, epoch, key_id, signature = row
        return cls(
            size=size,
            root=root,
            since=since,
            since_root=since_root,
            at=moment(epoch),
            key_id=key_id,
            signature=signature,
        )

    @property
    def body(self) -> bytes:
        """What is signed."""
        lines = (
            ORIGIN,
            str(self.size),
            _base64(self.root),
            f"at {self.at}",
            f"since {self.since} {_base64(self.since_root)}",
        )
        return "".join(f"{line}\n" for line in lines).encode()

    @property
    def text(self) -> str:
        """What an owner keeps."""
        stamp = _base64(bytes.fromhex(self.key_id) + self.signature)
        return f"{self.body.decode()}\n{_DASH} {ORIGIN} {stamp}\n"


class PublicKey:
    """A key that checkpoints may be signed with, and its name."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self._raw = _ED25519 + key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = hashlib.sha256(ORIGIN.encode() + b"\n" + self._raw).hexdigest()[:8]

    def signed(self, checkpoint: Checkpoint) -> bool:
        """Whether the signature on *checkpoint* is this key's."""
        try:
            self._key.verify(checkpoint.signature, checkpoint.body)
        except InvalidSignature:
            return False
        return checkpoint.key_id == self.key_id

    @property
    def text(self) -> str:
        """One line, as verifiers of signed notes take it."""
        return f"{ORIGIN}+{self.key_id}+{_base64(self._raw)}"

    @classmethod
    def read(cls, line: str) -> Self:
        """From the line that `text` gives; raises Unreadable."""
        *_, encoded = line.strip().split("+", 2)
        raw = _bytes(encoded)
        if len(raw) != 33 or not raw.startswith(_ED25519):
            raise Unreadable("not an Ed25519 key of a signed note")
        key = cls(Ed25519PublicKey.from_public_bytes(raw[1:]))
        if key.text != line.strip():
            raise Unreadable("the key's name and the key do not belong together")
        return key


class Signer:
    """Holds the private key, and knows the keys whose earlier checkpoints may be built upon."""

    def __init__(self, key: Ed25519PrivateKey, earlier: Sequence[PublicKey] = ()) -> None:
        self._key = key
        self.public_key = PublicKey(key.public_key())
        self.public_keys = (self.public_key, *earlier)

    @classmethod
    def load(cls, keys: Path, signed_last: str | None = None) -> Self:
        """From the folder of keys (``$BROKER_HOME/keys``); the key is made if there is none.

        To change the key: note its public line in ``audit-earlier.pub``, move the key file away, start again.
        *signed_last* is the key id of the log's newest checkpoint. Raises ConfigurationError if it is neither this
        key's nor an earlier one's; then none is made, either.
        """
        file, earlier = keys / KEY_FILE, _earlier_keys(keys)
        foreign = signed_last is not None and signed_last not in {key.key_id for key in earlier}
        if foreign and not file.exists():
            raise ConfigurationError(f"there is no {file}, with which this database's audit was signed; {_COPY}")
        pem = load_or_create(file, _new_key)
        try:
            key = load_pem_private_key(pem, password=None)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError(f"{file} is not an Ed25519 key in PEM")
        signer = cls(key, earlier)
        if foreign and signer.public_key.key_id != signed_last:
            raise ConfigurationError(f"{file} is not the key that this database's audit was signed with; {_COPY}")
        return signer

    def sign(self, checkpoint: Checkpoint) -> Checkpoint:
        """The same head with this key's signature."""
        named = checkpoint.model_copy(update={"key_id": self.public_key.key_id})
        return named.model_copy(update={"signature": self._key.sign(named.body)})


def _earlier_keys(keys: Path) -> tuple[PublicKey, ...]:
    file = keys / EARLIER_KEYS_FILE
    try:
        return read_public_keys(file.read_text("utf-8")) if file.exists() else ()
    except ValueError as error:
        raise ConfigurationError(f"{file} does not hold keys as `broker audit public-key` prints them") from error


def known_public_keys(keys: Path) -> tuple[PublicKey, ...]:
    """This installation's keys, without ever making one: a new key would find every signature wrong."""
    if not (keys / KEY_FILE).exists():
        raise ConfigurationError(f"there is no {keys / KEY_FILE}; name the keys to trust with --public-key")
    return Signer.load(keys).public_keys


def verify_checkpoint(checkpoint: Checkpoint, public_keys: Sequence[PublicKey]) -> bool:
    """Whether one of *public_keys* signed it. With no keys nothing verifies."""
    return any(key.signed(checkpoint) for key in public_keys)


def read_public_keys(text: str) -> tuple[PublicKey, ...]:
    """One key a line; raises Unreadable."""
    return tuple(PublicKey.read(line) for line in text.splitlines() if line.strip())


def read_checkpoint(text: str) -> Checkpoint:
    """From the text that an owner kept; raises Unreadable. Signatures of others below ours are passed over."""
    body, _, stamps = text.replace("\r\n", "\n").partition("\n\n")
    lines = body.split("\n")
    ours = [line for line in stamps.splitlines() if line.startswith(f"{_DASH} {ORIGIN} ")]
    if len(lines) != 5 or lines[0] != ORIGIN or len(ours) != 1:
        raise Unreadable("not a checkpoint of this kind of log")
    stamp = _bytes(ours[0].rsplit(" ", 1)[1])
    try:
        since, since_root = lines[4].removeprefix("since ").split(" ")
        checkpoint = Checkpoint(
            size=int(lines[1]),
            root=_bytes(lines[2]),
            at=lines[3].removeprefix("at "),
            since=int(since),
            since_root=_bytes(since_root),
            key_id=stamp[:4].hex(),
            signature=stamp[4:],
        )
    except ValueError:
        raise Unreadable("a line of the checkpoint is damaged") from None
    if checkpoint.body != f"{body}\n".encode():
        raise Unreadable("the checkpoint is not written as it was signed")
    return checkpoint


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("a part that should be base64 is not") from None
