"""Asks a vendor that takes a search, finishes it in its own time, and gives the results out in pages."""

from collections.abc import Mapping
from typing import Final

from adapters.failures import MALFORMED
from adapters.vendor import mapping
from broker.partners.contract import Failed, FailureKind, OrderTerms, Outcome, SearchOrder, Wire


class VendorAdapter:
    """Submit, poll, then read every page. The vendor's webhook saves the poll where all results fit on one page."""

    name: Final = "vendor"

    async def search(self, order: SearchOrder, wire: Wire) -> Outcome:
        # By agreement the reference makes a second call the first one repeated, so it may be sent again.
        reply = await wire.send("POST", mapping.submit_path(order), json=mapping.submit_body(order), idempotent=True)
        return mapping.read_submitted(reply, order)

    async def poll(self, order: OrderTerms, task_id: str, wire: Wire) -> Outcome:
        outcome = mapping.read_state(await wire.send("GET", mapping.state_path(task_id), idempotent=True), order)
        return await self._pages(order, task_id, wire) if outcome is None else outcome

    def callback(self, order: OrderTerms, body: bytes, query: Mapping[str, str]) -> Outcome:
        return mapping.read_webhook(order, body, query)

    async def _pages(self, order: OrderTerms, task_id: str, wire: Wire) -> Outcome:
        """All pages or none: an answer that was given up half-way would look like a shorter one."""
        pages: list[mapping.Page] = []
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            query = {} if cursor is None else {"cursor": cursor}
            reply = await wire.send("GET", mapping.results_path(task_id), query=query, idempotent=True)
            page = mapping.read_page(reply, order)
            if not isinstance(page, mapping.Page):
                return page
            pages.append(page)
            if sum(len(one.results) for one in pages) > order.max_candidates:
                return Failed(kind=FailureKind.TOO_MANY_CANDIDATES)
            if page.next is None:
                return mapping.whole(pages)
            if page.next in seen or not page.results:
                return MALFORMED  # Pages in a circle, or empty ones for ever, never end.
            seen.add(page.next)
            cursor = page.next
