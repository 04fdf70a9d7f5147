"""An invented commercial vendor. Synthetic from end to end: drawn faces, made-up references; no plates of anybody.

It wants its key bare in ``X-Api-Key``, takes a search (202), finishes it a little later, gives the results out in pages
and reports them by a signed webhook. Beyond its quota it answers 429 and says in ``Retry-After`` when to come back.

Settings: ``PARTNER_KEY_FILE`` (the secret shared with the broker), ``PARTNER_CALLBACK_URL`` (the broker's registered
address for webhooks), ``PARTNER_DELAY_SECONDS`` (0.3), ``PARTNER_QUOTA`` (calls in ten seconds, 1000),
``PARTNER_PAGE`` (results on a page, 2), and for tests ``PARTNER_CLAIMED_OWNER`` and ``PARTNER_GALLERY``.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import httpx
from fastapi import Depends, FastAPI, Query, Response
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from adapters.faces.comparing import NotAPicture, open_picture
from adapters.faces.people import Gallery, gallery
from adapters.serving.application import application, fault, guard_by_header, secret_of
from adapters.serving.journal import Journal
from broker.partners.contract import SIGNATURE_HEADER, sign

OWNER: Final = "VENDOR-EX"
KEY_HEADER: Final = "X-Api-Key"
_FAMILIES: Final = tuple(range(401, 411))
_WINDOW_SECONDS: Final = 10.0
_ATTEMPTS: Final = 4
_BETWEEN_SECONDS: Final = 0.3
_DESCRIPTION: Final = "A stand-in with synthetic data: a key, searches that finish later, pages, a webhook, a quota."
_ONE_SEARCH: Final = (
    "A repeated reference with the same request is the same search, and is answered alike; with another request it is "
    "refused."
)

State = Literal["queued", "done"]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Problem(_Body):
    """An error."""

    error: str


class NewSearch(_Body):
    """A face to be searched for."""

    reference: str = Field(min_length=1, max_length=200)
    face: str = Field(min_length=1, max_length=30_000_000, description="A JPEG in base 64")
    limit: int = Field(ge=1, le=50)


class SearchState(_Body):
    """How far a search is."""

    search: str
    reference: str
    state: State


class Result(_Body):
    """One image that is likely to show the same person."""

    image_id: str
    position: int
    confidence: float
    source: str
    drawn_on: str


class Results(SearchState):
    """A page of results; `next` is the cursor of the following one."""

    results: list[Result]
    next: str | None


@dataclass(slots=True)
class _Search:
    id: str
    reference: str
    state: State = "queued"
    results: list[Result] = field(default_factory=list)


@dataclass(slots=True)
class _Quota:
    """So many calls within the window; a call beyond it is not counted."""

    most: int
    calls: deque[float] = field(default_factory=deque)

    def spend(self) -> None:
        now = time.monotonic()
        while self.calls and now - self.calls[0] >= _WINDOW_SECONDS:
            self.calls.popleft()
        if len(self.calls) >= self.most:
            wait = ceil(_WINDOW_SECONDS - (now - self.calls[0])) if self.calls else ceil(_WINDOW_SECONDS)
            raise fault(429, "the quota is used up", {"Retry-After": str(max(1, wait))})
        self.calls.append(now)


@dataclass(slots=True)
class _Desk:
    """Works through what was submitted, and reports it."""

    records: Gallery
    owner: str
    secret: bytes
    webhook: str | None
    delay: float
    page: int
    searches: dict[str, _Search] = field(default_factory=dict)
    running: set["asyncio.Task[None]"] = field(default_factory=set)

    def submit(self, body: NewSearch, picture: Image.Image) -> _Search:
        search = _Search(secrets.token_hex(16), body.reference)
        self.searches[search.id] = search
        running = asyncio.ensure_future(self._work(search, picture, body.limit))
        self.running.add(running)
        running.add_done_callback(self.running.discard)
        return search

    def results(self, search: _Search, start: int) -> Results:
        end = start + self.page
        return Results(
            search=search.id,
            reference=search.reference,
            state=search.state,
            results=search.results[start:end],
            next=f"p{end}" if end < len(search.results) else None,
        )

    async def _work(self, search: _Search, picture: Image.Image, most: int) -> None:
        await asyncio.sleep(self.delay)
        found = await run_in_threadpool(self.records.search, picture, most=most)
        search.results = [
            Result(
                image_id=match.record.reference,
                position=position,
                confidence=round(match.score * 100, 2),
                source=self.owner,
                drawn_on=str(match.record.facts["drawnOn"]),
            )
            for position, match in enumerate(found, start=1)
        ]
        search.state = "done"
        await self._report(search)

    async def _report(self, search: _Search) -> None:
        if self.webhook is None:
            return
        query = urlencode({"transactionId": search.reference, "taskId": search.id})
        body = json.dumps(self.results(search, 0).model_dump(mode="json")).encode()
        url = httpx.URL(f"{self.webhook}?{query}")
        target = url.raw_path.decode("ascii")
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            for _attempt in range(_ATTEMPTS):
                signature = sign(self.secret, method="POST", target=target, body=body, at=datetime.now(UTC))
                headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature}
                try:
                    if (await client.post(url, content=body, headers=headers)).is_success:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(_BETWEEN_SECONDS)


def build(settings: Mapping[str, str]) -> FastAPI:
    """The app, ready to be served."""
    secret = secret_of(settings)
    quota = _Quota(int(settings.get("PARTNER_QUOTA", "1000")))
    desk = _Desk(
        records=gallery("L", _FAMILIES),
        owner=settings.get("PARTNER_CLAIMED_OWNER", OWNER),
        secret=secret,
        webhook=settings.get("PARTNER_CALLBACK_URL"),
        delay=float(settings.get("PARTNER_DELAY_SECONDS", "0.3")),
        page=int(settings.get("PARTNER_PAGE", "2")),
    )
    journal: Journal[_Search] = Journal()
    app = application("Invented partner: a vendor of images", _DESCRIPTION, "2", journal, _answer)

    async def within_quota() -> None:
        quota.spend()

    guarded = [guard_by_header(secret, KEY_HEADER), Depends(within_quota)]
    _serve_submission(app, guarded, settings.get("PARTNER_GALLERY", "images"), desk, journal)
    _serve_results(app, guarded, desk)
    _describe_webhook(app)
    return app


def _answer(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "Bad request"},
    403: {"model": Problem, "description": "Not allowed"},
    404: {"model": Problem, "description": "Unknown"},
    429: {"model": Problem, "description": "The quota is used up; Retry-After says for how many seconds"},
}


def _serve_submission(app: FastAPI, guarded: list[Any], name: str, desk: _Desk, journal: Journal[_Search]) -> None:
    @app.post(
        "/v2/galleries/{gallery}/searches",
        operation_id="submitSearch",
        status_code=202,
        dependencies=guarded,
        responses=_PROBLEMS,
        description=_ONE_SEARCH,
    )
    async def submit(gallery: str, body: NewSearch) -> SearchState:
        if gallery != name:
            raise fault(404, "unknown gallery")
        content, picture = _picture_of(body)

        async def search() -> _Search:
            return desk.submit(body, picture)

        request = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
        taken = await journal.once(body.reference, request, content, search)
        return SearchState(search=taken.id, reference=taken.reference, state=taken.state)


def _serve_results(app: FastAPI, guarded: list[Any], desk: _Desk) -> None:
    def known(search: str) -> _Search:
        if search not in desk.searches:
            raise fault(404, "unknown search")
        return desk.searches[search]

    @app.get("/v2/searches/{search}", operation_id="readState", dependencies=guarded, responses=_PROBLEMS)
    async def state(search: str) -> SearchState:
        found = known(search)
        return SearchState(search=found.id, reference=found.reference, state=found.state)

    @app.get("/v2/searches/{search}/results", operation_id="readResults", dependencies=guarded, responses=_PROBLEMS)
    async def results(
        search: str, cursor: Annotated[str, Query(pattern=r"^p[0-9]{1,4}$", max_length=5)] = "p0"
    ) -> Results:
        found = known(search)
        if found.state != "done":
            raise fault(404, "there are no results yet")
        return desk.results(found, int(cursor[1:]))


def _picture_of(body: NewSearch) -> tuple[bytes, Image.Image]:
    try:
        content = base64.b64decode(body.face, validate=True)
        return content, open_picture(content)
    except (binascii.Error, NotAPicture):
        raise fault(400, "the image cannot be read") from None


def _describe_webhook(app: FastAPI) -> None:
    @app.webhooks.post("search-done", status_code=204, operation_id="searchDone")
    def done(body: Results) -> None:
        """Sent to the registered address with `transactionId` and `taskId` in the query, signed in X-Broker-Signature
        with a time that is good for five minutes; repeated until it is taken.
        """
        del body
