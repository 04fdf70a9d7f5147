"""What a stand-in remembers of the searches it was asked for, so that a repeated call is not a second search."""

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from PIL import Image

from broker.partners.contract import Json

A = TypeVar("A")


@dataclass(slots=True)
class Transaction(Generic[A]):
    """One search, however often it was asked for."""

    request_sha256: str
    """Of the gallery, the query and the body: what a repeated call must repeat."""
    probe_sha256: str
    metadata: list[str]
    answer: "asyncio.Task[A]"
    calls: int = 1


class OtherRequest(Exception):
    """The transaction id was used before, for something else."""


@dataclass(slots=True)
class Journal(Generic[A]):
    """All searches of this process, by transaction id."""

    transactions: dict[str, Transaction[A]] = field(default_factory=dict)

    async def once(
        self, transaction_id: str, request_sha256: str, probe: bytes, search: Callable[[], Awaitable[A]]
    ) -> A:
        """The answer to this transaction: *search* is run for the first call, all others get what it gave."""
        known = self.transactions.get(transaction_id)
        if known is None:
            answer = asyncio.ensure_future(_run(search))
            self.transactions[transaction_id] = Transaction(
                request_sha256, hashlib.sha256(probe).hexdigest(), metadata_of(probe), answer
            )
            return await asyncio.shield(answer)
        known.calls += 1
        if known.request_sha256 != request_sha256:
            raise OtherRequest
        return await asyncio.shield(known.answer)

    def as_json(self) -> Json:
        """For ``GET /standin/log``."""
        return {
            "searches": len(self.transactions),
            "calls": sum(one.calls for one in self.transactions.values()),
            "transactions": [
                {
                    "transactionId": transaction_id,
                    "calls": one.calls,
                    "requestSha256": one.request_sha256,
                    "probeSha256": one.probe_sha256,
                    "metadata": list(one.metadata),
                }
                for transaction_id, one in self.transactions.items()
            ],
        }


async def _run(search: Callable[[], Awaitable[A]]) -> A:
    return await search()


def metadata_of(picture: bytes) -> list[str]:
    """Names of what a picture carries beside its pixels, such as ``exif`` and ``comment``; empty once it was stripped."""
    with Image.open(io.BytesIO(picture)) as image:
        held: dict[Any, Any] = dict(image.info)
        if image.getexif():
            held.setdefault("exif", b"")
    return sorted(str(name) for name in held.keys() & {"exif", "comment", "xmp", "icc_profile", "photoshop"})
