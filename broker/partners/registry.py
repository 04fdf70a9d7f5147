"""Which partners there are, where each one is, the plug for it and the secret shared with it.

Entries come from the policy files, addresses from those entries or the operator's overrides, adapters from the
installed entry points. Nothing here is ever taken from a request or a reply.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from broker.kernel.errors import ConfigurationError
from broker.kernel.ids import PartnerId
from broker.kernel.partner import PartnerEntry
from broker.kernel.this_machine import is_this_machine
from broker.partners.contract import Adapter
from broker.storage.keys import load_or_create

ADAPTER_GROUP: Final = "broker.adapters"
SECRET_BYTES: Final = 32
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Partner:
    """One partner, ready to be asked."""

    entry: PartnerEntry
    adapter: Adapter
    url: str
    secret_file: Path

    def secret(self) -> bytes:
        """What the broker and this partner alone know; made on first use, mode 0600."""
        return load_or_create(self.secret_file, lambda: secrets.token_bytes(SECRET_BYTES))


class Registry:
    """The partners of the policy in force. Raises `ConfigurationError` for anything that does not fit."""

    def __init__(
        self,
        entries: Sequence[PartnerEntry],
        url_overrides: Mapping[str, str],
        keys_dir: Path,
        adapters: Mapping[str, Adapter] | None = None,
    ) -> None:
        """*adapters* stand in for the installed ones, by name, in tests."""
        self._url_overrides = url_overrides
        self._keys_dir = keys_dir
        self._adapters = adapters
        self._partners = self._built(entries)

    def renew(self, entries: Sequence[PartnerEntry]) -> None:
        """Take the partners of another policy: all of them at once, or, when one does not fit, none."""
        self._partners = self._built(entries)

    def _built(self, entries: Sequence[PartnerEntry]) -> Mapping[PartnerId, Partner]:
        known = {entry.id for entry in entries}
        unused = sorted(set(self._url_overrides) - known)
        if unused:
            # Refused where a command starts. Later an entry may have been taken out, and the rest has to be followed.
            _log.warning("partner_urls_unused", setting="BROKER_PARTNER_URLS", partners=unused)
        given = self._adapters
        plugs = {
            name: _given(name, given) if given is not None else installed(name)
            for name in {entry.adapter for entry in entries}
        }
        return {
            entry.id: Partner(
                entry=entry,
                adapter=plugs[entry.adapter],
                url=_checked_url(entry.id, self._url_overrides.get(entry.id, str(entry.url))),
                secret_file=self._keys_dir / f"partner-{entry.id}.key",
            )
            for entry in entries
        }

    def entries(self) -> tuple[PartnerEntry, ...]:
        """All rows of the register, in its order."""
        return tuple(partner.entry for partner in self._partners.values())

    def find(self, entry_id: str) -> Partner | None:
        """The partner of exactly this name, if there is one."""
        return self._partners.get(PartnerId(entry_id))


def _given(name: str, adapters: Mapping[str, Adapter]) -> Adapter:
    if name not in adapters:
        raise ConfigurationError(f"no adapter is called {name!r}")
    return adapters[name]


def installed(name: str) -> Adapter:
    """The adapter of that name. Raises ConfigurationError where no installed package, or more than one, has it."""
    found = tuple(entry_points(group=ADAPTER_GROUP, name=name))
    if not found:
        known = ", ".join(sorted(entry_points(group=ADAPTER_GROUP).names)) or "none"
        raise ConfigurationError(f"no installed package has the adapter {name!r}; installed: {known}")
    if len({point.value for point in found}) > 1:
        raise ConfigurationError(f"more than one installed package has an adapter called {name!r}")
    try:
        adapter = found[0].load()()
    except Exception as error:
        raise ConfigurationError(f"the adapter {name!r} cannot be loaded: {type(error).__name__}") from error
    if not isinstance(adapter, Adapter) or adapter.name != name:
        raise ConfigurationError(f"the entry point {name!r} does not make an adapter of that name")
    return adapter


def _checked_url(entry_id: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"the URL of partner {entry_id!r} is not a URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"the URL of partner {entry_id!r} must begin with https:// and a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(f"the URL of partner {entry_id!r} may hold no user name, query or fragment")
    if parts.scheme == "http" and not is_this_machine(host):
        raise ConfigurationError(f"the URL of partner {entry_id!r} must be https: it is not on this machine")
    return url.rstrip("/")
