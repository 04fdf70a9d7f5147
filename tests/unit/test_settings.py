"""Settings: nothing is guessed, nothing unknown is ignored, and no value is repeated in an error."""

import os
from pathlib import Path

import pytest

from broker.kernel.errors import ConfigurationError
from broker.settings import is_sample_secret, known_names, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("BROKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return caught.value.detail


def test_nothing_set_gives_the_documented_defaults(tmp_path: Path) -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.embedded) == ("127.0.0.1", 8080, True)
    assert settings.home == tmp_path / ".broker"
    assert settings.policies == tmp_path / "policies"
    assert settings.base_url == "http://127.0.0.1:8080"


def test_an_unknown_name_stops_the_start_and_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_DATABSE_URL", "postgresql://somebody:hidden@elsewhere/broker")
    message = refusal()
    assert "BROKER_DATABSE_URL is not a setting; did you mean BROKER_DATABASE_URL?" in message
    assert "hidden" not in message


def test_an_unknown_name_in_the_file_stops_the_start_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER_PROGRAM=1\nBROKER_PROT=1\n")
    assert "BROKER_PROT is not a setting; did you mean BROKER_PORT?" in refusal()


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BROKER_PORT=1000\nBROKER_HOST=0.0.0.0\n")
    monkeypatch.setenv("BROKER_PORT", "2000")
    settings = load_settings()
    assert (settings.port, settings.host) == (2000, "0.0.0.0")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"BROKER_PORT=\xff\xfe")
    assert ".env" in refusal()


def test_an_empty_value_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_ISSUER", "")
    monkeypatch.setenv("BROKER_DATABASE_URL", "")
    assert load_settings().embedded


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://a/b", "somewhere", "postgresql://[broken"])
def test_only_postgresql_is_a_database(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BROKER_DATABASE_URL", url)
    assert refusal().startswith("BROKER_DATABASE_URL: ")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_usual_spellings_of_the_scheme_are_one(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("BROKER_DATABASE_URL", f"{scheme}://broker_app:k3bd8s@db.internal/broker")
    settings = load_settings()
    assert settings.database_url == "postgresql://broker_app:k3bd8s@db.internal/broker"
    assert "k3bd8s" not in repr(settings)


@pytest.mark.parametrize("password", ["changeme", "Change-Me", "CHANGE_ME", "secret", "password1", "%3Cpassword%3E"])
def test_sample_passwords_stop_the_start(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("BROKER_DATABASE_URL", f"postgresql://app:{password}@db.internal/broker")
    assert "sample password" in refusal()


def test_a_real_secret_is_not_taken_for_a_sample() -> None:
    assert not is_sample_secret("T8zu-changeme-4kQ")
    assert not is_sample_secret("")


def test_issuer_and_its_keys_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_ISSUER", "https://issuer.agency.internal")
    assert "BROKER_ISSUER and BROKER_JWKS_URL" in refusal()
    monkeypatch.setenv("BROKER_JWKS_URL", "https://issuer.agency.internal/keys")
    assert load_settings().issuer == "https://issuer.agency.internal"


def test_keys_of_an_issuer_are_not_fetched_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_ISSUER", "https://issuer.agency.internal")
    monkeypatch.setenv("BROKER_JWKS_URL", "http://issuer.agency.internal/keys")
    assert "https://" in refusal()
    monkeypatch.setenv("BROKER_JWKS_URL", "http://127.0.0.1:9000/keys")
    load_settings()


def test_an_owner_needs_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_OWNER_DATABASE_URL", "postgresql://owner@db/broker")
    assert "BROKER_OWNER_DATABASE_URL" in refusal()


def test_partner_urls_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PARTNER_URLS", '{"cbp-atsp": "http://127.0.0.1:9001/"}')
    assert load_settings().partner_urls == {"cbp-atsp": "http://127.0.0.1:9001"}
    monkeypatch.setenv("BROKER_PARTNER_URLS", "cbp-atsp=http://127.0.0.1:9001")
    assert "BROKER_PARTNER_URLS: must be JSON" in refusal()
    monkeypatch.setenv("BROKER_PARTNER_URLS", '{"cbp-atsp": "http://127.0.0.1:1", "cbp-atsp": "http://127.0.0.1:2"}')
    assert "BROKER_PARTNER_URLS: must be JSON" in refusal()
    assert "the same key twice" in refusal()
    monkeypatch.setenv("BROKER_PARTNER_URLS", '{"cbp-atsp": "ftp://127.0.0.1"}')
    assert "BROKER_PARTNER_URLS[cbp-atsp]" in refusal()


@pytest.mark.parametrize("host", ["partner.example", "169.254.169.254", "10.0.0.1", "0.0.0.0", "[fe80::1]"])
def test_a_partner_on_another_machine_is_reached_by_https(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("BROKER_PARTNER_URLS", f'{{"cbp-atsp": "http://{host}/"}}')
    assert refusal() == "BROKER_PARTNER_URLS[cbp-atsp]: must be an https:// URL: it is not on this machine"
    monkeypatch.setenv("BROKER_PARTNER_URLS", f'{{"cbp-atsp": "https://{host}/"}}')
    assert load_settings().partner_urls == {"cbp-atsp": f"https://{host}"}


def test_every_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PORT", "70000")
    monkeypatch.setenv("BROKER_PUBLIC_URL", "nowhere")
    monkeypatch.setenv("BROKER_COLOUR", "blue")
    message = refusal()
    assert all(name in message for name in ("BROKER_PORT", "BROKER_PUBLIC_URL", "BROKER_COLOUR"))


def test_a_sealing_key_is_private_and_real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = tmp_path / "sealing.key"
    monkeypatch.setenv("BROKER_SEALING_KEY_FILE", str(key))
    assert "cannot be read" in refusal()
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    assert "chmod 600" in refusal()
    key.chmod(0o600)
    assert "without a real key" in refusal()
    key.write_bytes(bytes(range(33)))
    assert "33 bytes; the key is exactly 32" in refusal()
    key.write_bytes(bytes(range(32)))
    assert load_settings().sealing_key_file == key


def test_relative_paths_are_fixed_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BROKER_HOME", "a folder/home")
    assert load_settings().home == tmp_path / "a folder" / "home"


def test_every_name_of_the_contract_is_known() -> None:
    contract = {"PORT", "HOME", "DATABASE_URL", "POLICIES", "ISSUER", "AUDIENCE", "JWKS_URL", "PARTNER_URLS"}
    assert {"BROKER_" + name for name in contract} <= set(known_names())
