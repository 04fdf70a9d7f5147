"""Checkpoints: what is signed, what an owner keeps, and what is not believed."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from broker.audit.checkpoint import (
    ORIGIN,
    Checkpoint,
    PublicKey,
    Signer,
    Unreadable,
    known_public_keys,
    read_checkpoint,
    read_public_keys,
    verify_checkpoint,
)
from broker.kernel.errors import ConfigurationError

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
UNSIGNED = Checkpoint(
    size=5,
    root=hashlib.sha256(b"root").digest(),
    since=3,
    since_root=hashlib.sha256(b"since").digest(),
    at="2026-01-31T08:15:30.123456Z",
)
SIGNED = SIGNER.sign(UNSIGNED)


def test_nothing_is_believed_without_keys_or_without_a_signature():
    assert not verify_checkpoint(SIGNED, ())
    assert not verify_checkpoint(UNSIGNED, SIGNER.public_keys)
    assert verify_checkpoint(SIGNED, SIGNER.public_keys)


def test_the_text_is_a_signed_note_that_others_can_check():
    """Read by the words of C2SP signed-note and tlog-checkpoint alone, without our code."""
    body, _, stamp = SIGNED.text.partition("\n\n")
    origin, size, root, *extensions = body.split("\n")
    assert (origin, size, root) == (ORIGIN, "5", base64.b64encode(UNSIGNED.root).decode())
    assert all(extensions)
    dash, name, encoded = stamp.rstrip("\n").split(" ")
    assert (dash, name) == ("\u2014", ORIGIN)
    raw = base64.b64decode(encoded)
    key_name, key_hash, key = SIGNER.public_key.text.split("+", 2)
    public = base64.b64decode(key)
    assert (key_name, public[:1]) == (ORIGIN, b"\x01")
    assert raw[:4] == bytes.fromhex(key_hash) == hashlib.sha256(f"{ORIGIN}\n".encode() + public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], f"{body}\n".encode())


def test_what_is_kept_reads_back():
    assert read_checkpoint(SIGNED.text) == SIGNED
    assert read_checkpoint(SIGNED.text.replace("\n", "\r\n")) == SIGNED
    assert read_checkpoint(SIGNED.text + "\u2014 a-witness/elsewhere AAAABBBB\n") == SIGNED
    assert read_public_keys(f"\n{SIGNER.public_key.text}\n\n")[0].text == SIGNER.public_key.text


@pytest.mark.parametrize(
    "change",
    [
        {"size": 6},
        {"root": bytes(32)},
        {"since": 2},
        {"since_root": bytes(32)},
        {"at": "2026-01-31T08:15:30.123457Z"},
        {"key_id": "00000000"},
        {"signature": b""},
        {"signature": bytes(64)},
    ],
)
def test_every_part_is_covered_by_the_signature(change):
    assert not verify_checkpoint(SIGNED.model_copy(update=change), SIGNER.public_keys)


def test_another_key_with_the_same_name_is_not_believed():
    other = Signer(Ed25519PrivateKey.generate())
    forged = other.sign(UNSIGNED).model_copy(update={"key_id": SIGNER.public_key.key_id})
    assert not verify_checkpoint(forged, SIGNER.public_keys)


@given(st.integers(0, len(SIGNED.text) - 2), st.characters(codec="utf-8"))
def test_a_text_changed_anywhere_is_unreadable_or_not_believed(position, character):
    changed = SIGNED.text[:position] + character + SIGNED.text[position + 1 :]
    try:
        read = read_checkpoint(changed)
    except Unreadable:
        return
    assert read == SIGNED or not verify_checkpoint(read, SIGNER.public_keys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        SIGNED.text.partition("\n\n")[0],
        SIGNED.text.replace(ORIGIN, "elsewhere"),
        SIGNED.text.replace("\n5\n", "\n+5\n"),
        SIGNED.text.replace("\n5\n", "\n05\n"),
        SIGNED.text.replace("\n5\n", "\n٥\n"),
        SIGNED.text.replace("at ", "signed at "),
        SIGNED.text.replace("since 3 ", "since 3  "),
        SIGNED.text + SIGNED.text.partition("\n\n")[2],
        "x\n" + SIGNED.text,
    ],
)
def test_what_is_not_exactly_a_checkpoint_is_unreadable(text):
    with pytest.raises(Unreadable):
        read_checkpoint(text)


@pytest.mark.parametrize(
    "line",
    ["", "+", ORIGIN, f"{ORIGIN}+00000000+AAAA", SIGNER.public_key.text.replace(SIGNER.public_key.key_id, "00000000")],
)
def test_what_is_not_a_public_key_is_unreadable(line):
    with pytest.raises(Unreadable):
        PublicKey.read(line)


def test_the_key_is_made_once_and_kept_to_its_user(tmp_path):
    keys = tmp_path / "home" / "keys"
    with ThreadPoolExecutor(8) as pool:
        made = {signer.public_key.text for signer in pool.map(lambda _: Signer.load(keys), range(8))}
    assert len(made) == 1
    assert (keys / "audit-signing.key").stat().st_mode & 0o777 == 0o600
    assert {key.text for key in known_public_keys(keys)} == made


def test_verifying_never_makes_a_key(tmp_path):
    with pytest.raises(ConfigurationError, match="--public-key"):
        known_public_keys(tmp_path / "keys")
    assert not (tmp_path / "keys").exists()


def test_earlier_keys_are_known_after_a_change_of_key(tmp_path):
    keys = tmp_path / "home" / "keys"
    first = Signer.load(keys).public_key.text
    (keys / "audit-signing.key").unlink()
    (keys / "audit-earlier.pub").write_text(first + "\n")
    assert [key.text for key in Signer.load(keys).public_keys[1:]] == [first]
    (keys / "audit-earlier.pub").write_text("not a key\n")
    with pytest.raises(ConfigurationError, match=r"audit-earlier\.pub"):
        Signer.load(keys)


def test_a_key_file_that_is_no_key_is_said_to_be_none(tmp_path):
    keys = tmp_path / "home" / "keys"
    keys.mkdir(parents=True)
    (keys / "audit-signing.key").write_bytes(b"not a key")
    (keys / "audit-signing.key").chmod(0o600)
    with pytest.raises(ConfigurationError, match="Ed25519"):
        Signer.load(keys)
