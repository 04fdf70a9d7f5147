"""`broker audit`: what an owner and an auditor run, on the database and on a copy of it."""

import json

import pytest
from typer.testing import CliRunner

from broker.audit.checkpoint import Signer, read_checkpoint
from broker.cli.audit import app
from broker.kernel.errors import ConfigurationError


@pytest.fixture
def installation(database, tmp_path, monkeypatch):
    """An installation on a database of its own, with a log of two checkpoints."""
    home = tmp_path / "a home"
    monkeypatch.setenv("BROKER_HOME", str(home))
    monkeypatch.setenv("BROKER_DATABASE_URL", database.app_url)
    database.fill(Signer.load(home / "keys"), 4, 3)
    return database


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


def test_a_good_log(installation, tmp_path):
    result = run("verify")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"entries": 7, "pending": 0, "faults": []}


def test_one_row_changed_in_a_copy_is_named(installation, tmp_path):
    held = tmp_path / "held.txt"
    held.write_text(run("checkpoint").stdout)
    copy = installation.copy()
    [(event_id,)] = copy.sql("SELECT event_id FROM audit_entry WHERE id = 3")
    copy.sql("ALTER TABLE audit_entry DISABLE TRIGGER USER")
    copy.sql("UPDATE audit_entry SET detail = detail || '{\"urgent\": true}' WHERE id = 3")
    result = run("verify", "--checkpoint", held, "--database-url", copy.app_url)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["entries"], report["pending"]) == (7, 0)
    kinds = {fault["kind"]: fault for fault in report["faults"]}
    assert set(kinds) == {"entry_altered", "checkpoint_mismatch", "held_mismatch"}
    altered = kinds["entry_altered"]
    assert (altered["event_id"], altered["entry_id"], altered["index"]) == (event_id, 3, 2)
    assert "last_index" not in altered
    # The log itself is as it was.
    assert run("verify", "--checkpoint", held).exit_code == 0


def test_a_held_checkpoint_tells_a_log_that_was_cut_off(installation, tmp_path):
    held = tmp_path / "held.txt"
    held.write_text(run("checkpoint").stdout)
    assert read_checkpoint(held.read_text()).size == 7
    copy = installation.copy()
    for table in ("audit_entry", "audit_leaf", "audit_node", "audit_checkpoint"):
        copy.sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    copy.sql("DELETE FROM audit_entry WHERE id > 4")
    copy.sql("DELETE FROM audit_leaf WHERE index >= 4")
    copy.sql("DELETE FROM audit_node WHERE (index + 1) << level::int4 > 4")
    copy.sql("DELETE FROM audit_checkpoint WHERE size > 4")
    assert run("verify", "--database-url", copy.app_url).exit_code == 0
    result = run("verify", "--database-url", copy.app_url, "--checkpoint", held)
    assert result.exit_code == 1
    assert [fault["kind"] for fault in json.loads(result.stdout)["faults"]] == ["held_beyond"]


def test_an_owner_verifies_with_the_public_key_alone(installation, tmp_path, monkeypatch):
    key = tmp_path / "key.pub"
    key.write_text(run("public-key").stdout)
    monkeypatch.setenv("BROKER_HOME", str(tmp_path / "elsewhere"))
    without = run("verify")
    assert isinstance(without.exception, ConfigurationError)
    assert "--public-key" in without.exception.detail
    assert run("verify", "--public-key", key).exit_code == 0
    assert not (tmp_path / "elsewhere").exists()


def test_no_checkpoint_before_the_first_entry(database, tmp_path, monkeypatch):
    monkeypatch.setenv("BROKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BROKER_DATABASE_URL", database.app_url)
    result = run("checkpoint")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize("option", ["--checkpoint", "--public-key"])
@pytest.mark.parametrize("content", [b"", b"something else\n", b"\xff\xfe"])
def test_a_file_that_is_not_what_it_should_be(installation, tmp_path, option, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    result = run("verify", option, file)
    assert isinstance(result.exception, ConfigurationError)


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "postgresql:///?host=/nonexistent", "nonsense"]
)
def test_a_database_that_is_not_there_is_said_so_in_one_line(installation, url):
    result = run("verify", "--database-url", url)
    assert isinstance(result.exception, ConfigurationError)
    assert "cannot be read" in result.exception.detail


def test_a_database_without_an_audit(installation):
    result = run("verify", "--database-url", installation.server.owner_url)
    assert isinstance(result.exception, ConfigurationError)
