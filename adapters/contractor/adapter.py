"""Asks a contractor whether a probe shows one enrolled participant."""

from collections.abc import Mapping
from typing import Final

from adapters.contractor import mapping
from broker.partners.contract import Failed, FailureKind, OrderTerms, Outcome, Refusal, Refused, SearchOrder, Wire


class ContractorAdapter:
    """One to one, at once. Without a participant there is nothing to ask."""

    name: Final = "contractor"

    async def search(self, order: SearchOrder, wire: Wire) -> Outcome:
        if order.participant is None:
            return Refused(code=Refusal.BAD_REQUEST)
        # By agreement the reference makes a second call the first one repeated, so it may be sent again.
        reply = await wire.send("POST", mapping.path(order), json=mapping.body(order), idempotent=True)
        return mapping.read_verdict(reply, order)

    async def poll(self, order: OrderTerms, task_id: str, wire: Wire) -> Outcome:  # noqa: ARG002 - the contract's form
        return Failed(kind=FailureKind.UNKNOWN_TASK)

    def callback(self, order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:  # noqa: ARG002 - as above
        return Failed(kind=FailureKind.UNKNOWN_TASK)
