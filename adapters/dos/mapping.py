"""What this partner is asked, pure.

It takes the search and answers later. Its scores run from 0 to 100; higher is more alike.
"""

from adapters.osia.messages import identify_query
from broker.partners.contract import SearchOrder


def query(order: SearchOrder) -> dict[str, str]:
    """Transaction and cap, and the address for the late answer where the operator has one."""
    return identify_query(order)
