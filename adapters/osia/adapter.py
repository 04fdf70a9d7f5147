"""The adapter of any partner that speaks OSIA; each one states what is its own.

Whether the answer comes at once (200) or later (202) is the partner's choice in every single call, so every adapter
can do both.
"""

from collections.abc import Mapping

from adapters.osia import messages, tasks
from broker.partners.contract import OrderTerms, Outcome, SearchOrder, Wire


class OsiaAdapter:
    """One identify call; a task that it starts is polled, or answered by callback."""

    name: str

    def query(self, order: SearchOrder) -> dict[str, str]:
        """What stands in the identify call's query."""
        return messages.identify_query(order)

    async def search(self, order: SearchOrder, wire: Wire) -> Outcome:
        # By agreement the transaction id makes a second call the first one repeated, so it may be sent again.
        reply = await wire.send(
            "POST",
            messages.identify_path(order),
            query=self.query(order),
            json=messages.identify_body(order),
            idempotent=True,
        )
        return messages.read_identify(reply)

    async def poll(self, order: OrderTerms, task_id: str, wire: Wire) -> Outcome:  # noqa: ARG002 - the contract's form
        outcome = tasks.read_status(await wire.send("GET", tasks.status_path(task_id), idempotent=True))
        if outcome is not None:
            return outcome
        return tasks.read_redelivery(await wire.send("POST", tasks.redeliver_path(task_id), idempotent=True))

    def callback(self, order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:
        return tasks.read_callback(order, body, query)
