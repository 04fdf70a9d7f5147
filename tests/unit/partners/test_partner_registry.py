import stat

import pytest
from structlog.testing import capture_logs

from broker.kernel.errors import ConfigurationError
from broker.partners.fakes import ScriptedWire
from broker.partners.registry import Registry
from tests.unit.partners.entries import entry


class Plug:
    name = "plug"

    async def search(self, order, wire):
        raise NotImplementedError

    async def poll(self, order, task_id, wire):
        raise NotImplementedError

    def callback(self, order, body, query):
        raise NotImplementedError


PLUGS = {"plug": Plug()}


def test_no_partners_are_no_partners(tmp_path):
    registry = Registry([], {}, tmp_path)
    assert registry.entries() == ()
    assert registry.find("cbp-atsp") is None


def test_a_partner_is_found_by_its_exact_name_only(tmp_path):
    registry = Registry([entry()], {}, tmp_path, PLUGS)
    found = registry.find("one")
    assert found is not None
    assert (found.url, found.adapter) == ("https://partner.example/abis", PLUGS["plug"])
    assert all(registry.find(name) is None for name in ("One", "one ", "", "*"))


def test_an_override_takes_the_place_of_the_registers_address(tmp_path):
    registry = Registry([entry()], {"one": "http://127.0.0.1:1234/"}, tmp_path, PLUGS)
    assert registry.find("one").url == "http://127.0.0.1:1234"


def test_an_override_whose_partner_is_gone_is_told_and_the_rest_is_followed(tmp_path):
    registry = Registry([entry("one"), entry("two")], {"two": "https://x.example"}, tmp_path, PLUGS)
    with capture_logs() as logs:
        registry.renew([entry("one")])
    assert [(one["event"], one["partners"]) for one in logs] == [("partner_urls_unused", ["two"])]
    assert [one.id for one in registry.entries()] == ["one"]


@pytest.mark.parametrize(
    "url",
    ["http://partner.example/", "ftp://127.0.0.1/", "//127.0.0.1/", "https://", "https://me:pw@partner.example/", "https://me@x.example",
     "https://x.example/?a=b", "https://x.example/#a", "file:///etc/passwd", "", "http://127.0.0.1.evil.example/",
     "http://[::2]/", "http://0.0.0.0/", "https://x.example:port/"],
)  # fmt: skip
def test_an_address_that_is_not_plainly_https_or_loopback_is_refused(tmp_path, url):
    with pytest.raises(ConfigurationError, match="'one'"):
        Registry([entry()], {"one": url}, tmp_path, PLUGS)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80", "http://localhost:8101/x", "http://[::1]:1", "https://partner.example"]
)
def test_https_anywhere_and_http_on_this_machine_are_taken(tmp_path, url):
    assert Registry([entry()], {"one": url}, tmp_path, PLUGS).find("one").url == url


def test_an_adapter_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="'nowhere'"):
        Registry([entry(adapter="nowhere")], {}, tmp_path)
    with pytest.raises(ConfigurationError, match="'nowhere'"):
        Registry([entry(adapter="nowhere")], {}, tmp_path, PLUGS)


def test_the_shipped_adapters_are_found_by_their_entry_points(tmp_path):
    registry = Registry([entry("a", "cbp"), entry("b", "dos")], {}, tmp_path)
    assert [registry.find(name).adapter.name for name in ("a", "b")] == ["cbp", "dos"]


def _installed(monkeypatch, made):
    class Point:
        value = "somewhere:Thing"

        def load(self):
            return made

    monkeypatch.setattr("broker.partners.registry.entry_points", lambda **_: (Point(),))


def test_an_entry_point_that_makes_something_else_is_refused(tmp_path, monkeypatch):
    class OtherName(Plug):
        name = "other"

    for made in (object, OtherName):
        _installed(monkeypatch, made)
        with pytest.raises(ConfigurationError, match="'plug'"):
            Registry([entry()], {}, tmp_path)


def test_an_adapter_that_cannot_be_made_is_named_without_its_message(tmp_path, monkeypatch):
    class Broken(Plug):
        def __init__(self):
            raise OSError("a password")

    _installed(monkeypatch, Broken)
    with pytest.raises(ConfigurationError) as caught:
        Registry([entry()], {}, tmp_path)
    assert "'plug'" in caught.value.detail
    assert "password" not in caught.value.detail


def test_two_packages_with_one_adapter_name_are_refused(tmp_path, monkeypatch):
    class Point:
        def __init__(self, value):
            self.value = value

    monkeypatch.setattr("broker.partners.registry.entry_points", lambda **_: (Point("a:A"), Point("b:B")))
    with pytest.raises(ConfigurationError, match="more than one"):
        Registry([entry()], {}, tmp_path)


def test_each_partner_has_a_secret_of_its_own_that_stays_and_is_private(tmp_path):
    folder = tmp_path / "keys"
    registry = Registry([entry("one"), entry("two")], {}, folder, PLUGS)
    first, second = registry.find("one").secret(), registry.find("two").secret()
    assert first != second
    assert len(first) == len(second) == 32
    assert Registry([entry("one")], {}, folder, PLUGS).find("one").secret() == first
    assert stat.S_IMODE((folder / "partner-one.key").stat().st_mode) == 0o600


def test_a_wire_that_has_run_out_is_unreachable():
    wire = ScriptedWire([])
    assert wire.sent == []
