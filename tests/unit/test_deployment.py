"""The files of a deployment name settings, commands and routes that exist, and hold no secret and no rights too many."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.app import bare_app
from broker.cli.main import _COMMANDS, _GROUPS
from broker.settings import known_names

DOCS = Path(__file__).resolve().parents[2] / "docs"
DEPLOY = DOCS / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if name != "database"}


def of_unit(path: Path) -> dict[str, list[str]]:
    """Settings of a unit's service, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_every_setting_that_is_named_exists() -> None:
    texts = [path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file()]
    texts += [(DOCS / name).read_text("utf-8") for name in ("deploying.md", "scaling.md", "operating.md")]
    named = {name for text in texts for name in re.findall(r"\bBROKER_[A-Z_]+\b", text)}
    assert named - set(known_names()) <= {"BROKER_TEST_DATABASE_URL"}
    assert {"BROKER_DATABASE_URL", "BROKER_DRAIN_SECONDS"} <= named


def test_every_command_that_is_run_exists() -> None:
    run = [service["command"][0] for service in OURS.values()]
    run += [line.split()[1] for unit in UNITS for line in of_unit(unit)["ExecStart"]]
    assert set(run) <= set(_COMMANDS)
    assert {"serve", "worker", "migrate"} <= set(run)


def test_every_command_that_the_page_names_exists() -> None:
    page = (DOCS / "deploying.md").read_text("utf-8")
    named = set(re.findall(r"`broker ([a-z-]+)", page)) | set(re.findall(r"(?m)(?:^    |bin/)broker ([a-z-]+)", page))
    assert named <= {*_COMMANDS, *_GROUPS}
    assert {"keys", "migrate"} <= named


def test_whoever_verifies_the_database_is_told_whom_to_trust() -> None:
    page = (DOCS / "deploying.md").read_text("utf-8")
    urls = re.findall(r"postgresql://\S+verify-full\S*", page)
    assert len(urls) == 2
    assert all("sslrootcert=" in url for url in urls)
    # The container's database is made by hand, with its owner, and serves as many processes as the page says.
    database = COMPOSE["services"]["database"]
    assert "POSTGRES_DB" not in database["environment"]
    assert "max_connections=400" in database["command"]


def test_no_key_of_a_checkout_gets_into_the_image() -> None:
    lines = (DOCS.parent / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    # All is left out but what the image is built from, and of that the keys.
    assert rules[0] == "*"
    copied = {word for line in (DEPLOY / "Containerfile").read_text("utf-8").splitlines() for word in of_copy(line)}
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert {"**/keys", "**/*.key"} <= set(rules)


def of_copy(line: str) -> list[str]:
    """What a line copies out of the checkout."""
    words = line.split()
    return words[1:-1] if words[:1] == ["COPY"] and not words[1].startswith("--") else []


def test_every_route_that_the_page_names_exists() -> None:
    page = (DOCS / "deploying.md").read_text("utf-8")
    assert set(re.findall(r"GET (/[\w/]+)", page)) <= set(bare_app().openapi()["paths"])


@pytest.mark.parametrize("name", OURS)
def test_a_container_has_no_right_that_it_does_not_need(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    # Only the API is reached from outside, and only by a proxy on this machine.
    assert service.get("ports", []) == (["127.0.0.1:8080:8080"] if name == "api" else [])
    assert service["stop_grace_period" if name != "migrate" else "restart"]


def test_only_the_migration_knows_the_schema_s_owner() -> None:
    assert {name for name, one in OURS.items() if "migrate.env" in one["env_file"]} == {"migrate"}
    owners = {unit.name for unit in UNITS if "/etc/broker/migrate.env" in of_unit(unit)["EnvironmentFile"]}
    assert owners == {"broker-migrate.service"}


def test_the_image_runs_as_nobody_in_particular_and_names_no_index() -> None:
    lines = (DEPLOY / "Containerfile").read_text("utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001"]
    assert any("--require-hashes" in line for line in lines)
    assert not any("index" in line or "://" in line for line in lines)


def test_no_secret_is_written_down() -> None:
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    assert re.findall(r"(?i)password:\s*\S+", text) == []
    assert "postgresql://" not in text


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_shut_in(unit: Path) -> None:
    found = of_unit(unit)
    for name, value in (
        ("User", "broker"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("CapabilityBoundingSet", ""),
        ("SystemCallFilter", "@system-service"),
        ("StateDirectoryMode", "0700"),
    ):
        assert found[name] == [value], name
    configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True).read(unit)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    copies = []
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/broker/bin/broker", shutil.which("true") or "/bin/true")
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(re.sub(r"(?m)^(User|Group)=.*$", r"\1=root", text), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", *map(str, copies)], capture_output=True, text=True, timeout=60)
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line] == []
