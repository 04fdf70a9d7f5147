"""What is sealed opens only as it was sealed, with its own key, at its own place."""

import pytest

from broker.storage.sealing import SealBroken, Sealed, Sealer, make_key

KEY = make_key()
SEALER = Sealer(KEY)


def test_what_was_sealed_opens() -> None:
    for content in (b"", b"x", b"a face" * 10_000):
        assert SEALER.open(SEALER.seal(content, "itm_a"), "itm_a") == content


def test_nothing_of_the_content_shows_and_no_two_are_alike() -> None:
    one, other = SEALER.seal(b"candidate R-0001" * 4, "itm_a"), SEALER.seal(b"candidate R-0001" * 4, "itm_a")
    assert b"R-0001" not in one.ciphertext + one.wrapped_key
    assert one.ciphertext != other.ciphertext
    assert one.wrapped_key != other.wrapped_key


def test_moved_altered_or_under_another_key_it_does_not_open() -> None:
    sealed, other = SEALER.seal(b"content", "itm_a"), SEALER.seal(b"content", "itm_b")
    broken = [
        (sealed, "itm_b"),
        (sealed, "ITM_A"),
        (sealed, ""),
        (Sealed(other.wrapped_key, sealed.ciphertext), "itm_a"),
        (Sealed(sealed.wrapped_key, other.ciphertext), "itm_a"),
        (Sealed(b"", sealed.ciphertext), "itm_a"),
        (Sealed(sealed.wrapped_key, b""), "itm_a"),
        (Sealed(sealed.wrapped_key, sealed.ciphertext[:-1]), "itm_a"),
        (Sealed(sealed.wrapped_key[:11], sealed.ciphertext), "itm_a"),
    ]
    broken += [(Sealed(sealed.wrapped_key, _flipped(sealed.ciphertext, at)), "itm_a") for at in range(0, 35, 5)]
    for one, place in broken:
        with pytest.raises(SealBroken):
            SEALER.open(one, place)
    with pytest.raises(SealBroken):
        Sealer(make_key()).open(sealed, "itm_a")


def test_without_its_wrapped_key_a_content_is_gone() -> None:
    sealed = SEALER.seal(b"content", "itm_a")
    with pytest.raises(SealBroken):
        SEALER.open(Sealed(make_key() + make_key(), sealed.ciphertext), "itm_a")


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 16, b"x" * 33])
def test_a_key_of_another_length_is_none(key: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(key)


def _flipped(content: bytes, at: int) -> bytes:
    at = min(at, len(content) - 1)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
