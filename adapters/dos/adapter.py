"""Asks a partner that takes the search and answers later: to a poll, or by a callback of its own."""

from typing import Final

from adapters.dos import mapping
from adapters.osia.adapter import OsiaAdapter
from broker.partners.contract import SearchOrder


class DosAdapter(OsiaAdapter):
    """Asynchronous identify."""

    name: Final = "dos"

    def query(self, order: SearchOrder) -> dict[str, str]:
        return mapping.query(order)
