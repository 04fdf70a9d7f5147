"""Key files: made once, private, whole."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker.kernel.errors import ConfigurationError
from broker.storage.keys import load_or_create


def random_key() -> bytes:
    return secrets.token_bytes(32)


def test_a_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "home of mine" / "keys" / "a.key"
    first = load_or_create(path, random_key)
    assert load_or_create(path, random_key) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["a.key"]


def test_racing_processes_get_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a.key"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: load_or_create(path, random_key), range(64)))
    assert len(keys) == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    load_or_create(path, random_key)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_or_create(path, random_key)


def test_an_empty_key_is_refused_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.touch(mode=0o600)
    with pytest.raises(ConfigurationError, match="empty"):
        load_or_create(path, random_key)
    assert path.read_bytes() == b""


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x" * 32)
    elsewhere.chmod(0o600)
    path = tmp_path / "a.key"
    path.symlink_to(elsewhere)
    with pytest.raises(OSError):
        load_or_create(path, random_key)
