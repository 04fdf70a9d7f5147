"""Asks a partner that answers at once."""

from typing import Final

from adapters.cbp import mapping
from adapters.osia.adapter import OsiaAdapter
from broker.partners.contract import SearchOrder


class CbpAdapter(OsiaAdapter):
    """Synchronous identify."""

    name: Final = "cbp"

    def query(self, order: SearchOrder) -> dict[str, str]:
        return mapping.query(order)
