"""A machine serves a database with the keys that its content was sealed and its log signed with, or not at all."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg import errors

from broker.audit.checkpoint import PublicKey, Signer
from broker.kernel.errors import ConfigurationError
from broker.processes.model import ProcessKind
from broker.settings import Settings
from broker.storage import sealing_key
from broker.storage.database import engine_for
from broker.storage.keys import load_or_create
from broker.storage.sealing import Sealer, make_key
from broker.storage.sealing_key import load_sealer
from broker.storage.unit_of_work import UnitOfWork
from broker.wiring.keys import proven_signer
from broker.wiring.parts import parts
from tests.support.policy_files import SHIPPED
from tests.support.postgres import Database
from tests.support.programs import ROOT, environment
from tests.support.traitors import assert_caught


def starts(database: Database, home: Path) -> None:
    async def run() -> None:
        settings = Settings(_env_file=None, home=home, database_url=database.app_url, policies=SHIPPED)
        async with parts(settings, ProcessKind.API):
            pass

    asyncio.run(run())


def test_a_second_machine_needs_the_keys_of_the_first(fresh_postgres: Database, tmp_path: Path) -> None:
    starts(fresh_postgres, tmp_path / "first")
    starts(fresh_postgres, tmp_path / "first")
    with pytest.raises(ConfigurationError, match=r"second/keys/sealing\.key.* copy keys/"):
        starts(fresh_postgres, tmp_path / "second")
    # It has made none: whoever looks for the reason finds no key that opens nothing.
    assert not (tmp_path / "second" / "keys" / "sealing.key").exists()
    shutil.copytree(tmp_path / "first" / "keys", tmp_path / "second" / "keys", dirs_exist_ok=True)
    starts(fresh_postgres, tmp_path / "second")
    (tmp_path / "second" / "keys" / "sealing.key").write_bytes(make_key())
    with pytest.raises(ConfigurationError, match=r"sealing\.key is not the key"):
        starts(fresh_postgres, tmp_path / "second")


def test_traitor_that_takes_any_key_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing_key.hmac, "compare_digest", lambda *_: True)
    assert_caught(test_a_second_machine_needs_the_keys_of_the_first, fresh_postgres, tmp_path)


def test_what_a_database_held_before_its_key_was_noted_tells_whose_it_is(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    right = Sealer(load_or_create(tmp_path / "right" / "keys" / "sealing.key", make_key))
    sealed = right.seal(b"a drawn face", "sch_1")
    with fresh_postgres.owner() as owner:
        # What else a probe's row refers to is of no matter here.
        owner.execute("ALTER TABLE probe DROP CONSTRAINT probe_search_id_fkey")
        owner.execute(
            "INSERT INTO probe VALUES ('sch_1', 'photo', 'a', 'b', 1, 1, %s, %s)",
            (sealed.wrapped_key, sealed.ciphertext),
        )
    for home in ("empty", "wrong"):
        if home == "wrong":
            load_or_create(tmp_path / home / "keys" / "sealing.key", make_key)
        with pytest.raises(ConfigurationError, match=rf"{home}/keys/sealing\.key"):
            starts(fresh_postgres, tmp_path / home)
    starts(fresh_postgres, tmp_path / "right")


def test_the_service_cannot_change_which_key_is_noted(fresh_postgres: Database, tmp_path: Path) -> None:
    starts(fresh_postgres, tmp_path)
    with fresh_postgres.service() as service:
        for statement in ("UPDATE sealing_key SET name = ''", "DELETE FROM sealing_key"):
            with pytest.raises(errors.InsufficientPrivilege):
                service.execute(statement)


def test_a_key_of_another_length_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sealing.key"
    load_or_create(file, lambda: b"0123456789" * 4)
    with pytest.raises(ConfigurationError, match=r"sealing\.key must hold a sealing key of exactly 32 bytes"):
        load_sealer(file, first=True)


async def _signer(database: Database, keys: Path) -> PublicKey:
    engine = engine_for(database.app_url, pool_size=1)
    try:
        return (await proven_signer(UnitOfWork(engine), keys)).public_key
    finally:
        await engine.dispose()


def test_the_log_is_continued_with_its_own_key_or_one_that_followed_it(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    first, second = tmp_path / "first" / "keys", tmp_path / "second" / "keys"
    key = asyncio.run(_signer(fresh_postgres, first))
    with fresh_postgres.owner() as owner:
        owner.execute(
            "INSERT INTO audit_checkpoint (size, root, since, since_root, at, key_id, signature) "
            "VALUES (1, '', 0, '', now(), %s, '')",
            (key.key_id,),
        )
    assert asyncio.run(_signer(fresh_postgres, first)).key_id == key.key_id
    with pytest.raises(ConfigurationError, match=r"there is no .*audit-signing\.key"):
        asyncio.run(_signer(fresh_postgres, second))
    assert not (second / "audit-signing.key").exists()
    Signer.load(second)
    with pytest.raises(ConfigurationError, match=r"audit-signing\.key is not the key"):
        asyncio.run(_signer(fresh_postgres, second))
    # To change the key: its line is noted as an earlier one's, and the file moved away.
    (first / "audit-earlier.pub").write_text(key.text + "\n")
    (first / "audit-signing.key").unlink()
    assert asyncio.run(_signer(fresh_postgres, first)).key_id != key.key_id


@pytest.mark.processes
def test_a_worker_with_another_key_says_so_in_one_line(fresh_postgres: Database, tmp_path: Path) -> None:
    starts(fresh_postgres, tmp_path / "first")
    said = subprocess.run(
        [sys.executable, "-m", "broker", "worker"],
        cwd=ROOT,
        env=environment(BROKER_HOME=str(tmp_path / "second"), BROKER_DATABASE_URL=fresh_postgres.app_url),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert said.returncode == 2
    [line] = said.stderr.splitlines()
    assert line.startswith("broker: there is no ")
    assert "sealing.key" in line
