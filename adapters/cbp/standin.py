"""An invented partner that answers at once. Synthetic from end to end: drawn faces, made-up references.

Settings: ``PARTNER_KEY_FILE`` (the secret shared with the broker), and for tests ``PARTNER_CLAIMED_OWNER`` (says that
its records belong to somebody else) and ``PARTNER_GALLERY``.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool

from adapters.faces.people import THRESHOLD, gallery
from adapters.osia.service import (
    FAULTS,
    ONE_SEARCH,
    Asked,
    Candidate,
    IdentifyRequest,
    application,
    candidates_of,
    picture_of,
    request_hash,
)
from adapters.serving.application import fault, guard, secret_of
from adapters.serving.journal import Journal

OWNER: Final = "CBP"
_FAMILIES: Final = tuple(range(101, 111))


def build(settings: Mapping[str, str]) -> FastAPI:
    """The app, ready to be served."""
    owner = settings.get("PARTNER_CLAIMED_OWNER", OWNER)
    name = settings.get("PARTNER_GALLERY", "travellers")
    records = gallery("R", _FAMILIES)
    journal: Journal[list[Candidate]] = Journal()
    app = application(
        "Invented partner: traveller records",
        "A stand-in with synthetic data, speaking OSIA ABIS 1.6.0 identify and answering at once.",
        journal,
    )

    @app.post(
        "/v1/identify/{galleryId}",
        operation_id="identify",
        dependencies=[guard(secret_of(settings))],
        responses=FAULTS,
        description=ONE_SEARCH,
    )
    async def identify(
        galleryId: str,  # noqa: N803 - the standard's name
        body: IdentifyRequest,
        asked: Annotated[Asked, Depends()],
        request: Request,
    ) -> list[Candidate]:
        if galleryId != name:
            raise fault(404, "unknown gallery")
        content, picture = picture_of(body)
        threshold = THRESHOLD if asked.threshold is None else max(THRESHOLD, asked.threshold)

        async def search() -> list[Candidate]:
            found = await run_in_threadpool(records.search, picture, most=asked.most, threshold=threshold)
            return candidates_of(found, owner, ["lead_only"])

        return await journal.once(asked.transaction_id, request_hash(request, await request.body()), content, search)

    return app
