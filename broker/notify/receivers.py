"""Where agencies have their messages sent, and the secret shared with each. Both come from the operator, never from a
request.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.kernel.ids import AgencyId
from broker.storage.keys import load_or_create

SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Receiver:
    """One agency's registered address."""

    agency: AgencyId
    url: str
    secret_file: Path

    def secret(self) -> bytes:
        """What the broker and this agency alone know; made on first use, mode 0600."""
        return load_or_create(self.secret_file, lambda: secrets.token_bytes(SECRET_BYTES))


class Receivers:
    """The registered addresses of the policy in force."""

    def __init__(self, notified_at: Mapping[str, str], keys_dir: Path) -> None:
        self._keys_dir = keys_dir
        self._urls = dict(notified_at)

    def renew(self, notified_at: Mapping[str, str]) -> None:
        """Take the addresses of another policy."""
        self._urls = dict(notified_at)

    def agencies(self) -> tuple[AgencyId, ...]:
        """Those that have an address."""
        return tuple(AgencyId(agency) for agency in sorted(self._urls))

    def find(self, agency: str) -> Receiver | None:
        """That agency's address; one above or below it in the tree is not meant."""
        url = self._urls.get(agency)
        if url is None:
            return None
        return Receiver(AgencyId(agency), url, self._keys_dir / f"notify-{agency}.key")
