"""Asks a partner that is sent a transaction file and answers with one."""

from collections.abc import Mapping
from typing import Final

from adapters.dmv import itl, mapping
from broker.partners.contract import Failed, FailureKind, OrderTerms, Outcome, SearchOrder, Wire


class DmvAdapter:
    """One file out, one file back; it never answers later."""

    name: Final = "dmv"

    async def search(self, order: SearchOrder, wire: Wire) -> Outcome:
        file = mapping.search_file(order)
        if file is None:
            return Failed(kind=FailureKind.ADAPTER_ERROR)
        # By agreement the transaction's number makes a second file the first one repeated, so it may be sent again.
        reply = await wire.send("POST", mapping.PATH, body=file, accept=itl.MEDIA_TYPE, idempotent=True)
        return mapping.read_answer(reply, order)

    async def poll(self, order: OrderTerms, task_id: str, wire: Wire) -> Outcome:  # noqa: ARG002 - the contract's form
        return Failed(kind=FailureKind.UNKNOWN_TASK)

    def callback(self, order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:  # noqa: ARG002 - as above
        return Failed(kind=FailureKind.UNKNOWN_TASK)
