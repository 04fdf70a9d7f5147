"""What this partner is asked. Pure.

It answers while the caller waits, so no callback address is sent: by the standard that asks for an answer at once.
Its scores run from 0 to 1; higher is more alike.
"""

from adapters.osia.messages import identify_query
from broker.partners.contract import SearchOrder


def query(order: SearchOrder) -> dict[str, str]:
    """Transaction and cap, and no address for a late answer."""
    return identify_query(order.model_copy(update={"callback_url": None}))
