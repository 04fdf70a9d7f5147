"""An invented partner that answers later. Synthetic from end to end: drawn faces, made-up references.

It takes a search (202), and when it is done the task's status says so and holds the candidates; if it knows where, it
also sends them to the broker in a signed callback. With ``PARTNER_ANSWER_BY=callback`` it keeps to the letter of the
standard: the status is a bare word, and candidates come by callback only.

Settings: ``PARTNER_KEY_FILE`` (the secret shared with the broker), ``PARTNER_CALLBACK_URL`` (the broker's registered
address; one given in a request is ignored), ``PARTNER_DELAY_SECONDS`` (0.5), ``PARTNER_ANSWER_BY`` (``status``), and for
tests ``PARTNER_CLAIMED_OWNER`` (says that its records belong to somebody else) and ``PARTNER_GALLERY``.
"""

import asyncio
import json
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode, urlsplit

import httpx
from fastapi import Depends, FastAPI, Header, Request, Response
from PIL import Image
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from adapters.faces.people import THRESHOLD, Gallery, gallery
from adapters.osia.service import (
    FAULTS,
    ONE_SEARCH,
    Asked,
    Candidate,
    Fault,
    IdentifyRequest,
    application,
    candidates_of,
    picture_of,
    request_hash,
    to_json,
)
from adapters.serving.application import fault, guard, secret_of
from adapters.serving.journal import Journal
from broker.partners.contract import SIGNATURE_HEADER, sign

OWNER: Final = "DOS"
_FAMILIES: Final = tuple(range(201, 211))
_SCALE: Final = 100.0
_ATTEMPTS: Final = 4
_BETWEEN_SECONDS: Final = 0.3

Word = Literal["PENDING", "RESPONSE_SCHEDULED", "RESPONSE_RETRY", "RESPONSE_ERROR", "COMPLETED"]


class TaskId(BaseModel):
    """Where to ask what became of the search."""

    taskId: str  # noqa: N815 - the standard's name


class TaskStatus(BaseModel):
    """The standard's word, and beyond the standard the result once there is one."""

    status: Word
    candidates: list[Candidate] | None = None


@dataclass(slots=True)
class _Task:
    id: str
    transaction_id: str
    word: Word = "PENDING"
    candidates: list[Candidate] | None = None


@dataclass(slots=True)
class _Callbacks:
    """Sends results to the broker."""

    url: str | None
    secret: bytes

    async def deliver(self, task: _Task) -> bool:
        """Whether there is nothing left to send: no address, or the broker has taken the result."""
        if self.url is None or task.candidates is None:
            return True
        query = urlencode({"transactionId": task.transaction_id, "taskId": task.id})
        body = json.dumps(to_json(task.candidates)).encode()
        target = f"{urlsplit(self.url).path}?{query}"
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            for _attempt in range(_ATTEMPTS):
                signature = sign(self.secret, method="POST", target=target, body=body, at=datetime.now(UTC))
                headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature}
                try:
                    reply = await client.post(f"{self.url}?{query}", content=body, headers=headers)
                except httpx.HTTPError:
                    reply = None
                if reply is not None and reply.is_success:
                    return True
                await asyncio.sleep(_BETWEEN_SECONDS)
        return False


@dataclass(slots=True)
class _Desk:
    """Works through what was submitted."""

    records: Gallery
    owner: str
    delay: float
    callbacks: _Callbacks
    by_callback: bool
    tasks: dict[str, _Task] = field(default_factory=dict)
    running: set["asyncio.Task[None]"] = field(default_factory=set)

    def submit(self, asked: Asked, picture: Image.Image) -> _Task:
        task = _Task(secrets.token_hex(16), asked.transaction_id)
        self.tasks[task.id] = task
        self.start(self._work(task, asked, picture))
        return task

    def redeliver(self, task: _Task) -> None:
        task.word = "RESPONSE_RETRY" if self.by_callback else task.word
        self.start(self._send(task))

    def start(self, work: Coroutine[None, None, None]) -> None:
        running = asyncio.ensure_future(work)
        self.running.add(running)
        running.add_done_callback(self.running.discard)

    async def _work(self, task: _Task, asked: Asked, picture: Image.Image) -> None:
        await asyncio.sleep(self.delay)
        threshold = THRESHOLD if asked.threshold is None else max(THRESHOLD, asked.threshold / _SCALE)
        found = await run_in_threadpool(self.records.search, picture, most=asked.most, threshold=threshold)
        task.candidates = candidates_of(found, self.owner, ["lead_only", "no_onward"], _SCALE)
        task.word = "RESPONSE_SCHEDULED" if self.by_callback else "COMPLETED"
        await self._send(task)

    async def _send(self, task: _Task) -> None:
        delivered = await self.callbacks.deliver(task)
        if self.by_callback:
            task.word = "COMPLETED" if delivered else "RESPONSE_ERROR"


def build(settings: Mapping[str, str]) -> FastAPI:
    """The app, ready to be served."""
    secret = secret_of(settings)
    name = settings.get("PARTNER_GALLERY", "visas")
    desk = _Desk(
        records=gallery("V", _FAMILIES),
        owner=settings.get("PARTNER_CLAIMED_OWNER", OWNER),
        delay=float(settings.get("PARTNER_DELAY_SECONDS", "0.5")),
        callbacks=_Callbacks(settings.get("PARTNER_CALLBACK_URL"), secret),
        by_callback=settings.get("PARTNER_ANSWER_BY", "status") == "callback",
    )
    journal: Journal[_Task] = Journal()
    app = application(
        "Invented partner: visa records",
        "A stand-in with synthetic data, speaking OSIA ABIS 1.6.0 identify and answering later.",
        journal,
    )
    guarded = [guard(secret)]
    _serve_identify(app, guarded, name, desk, journal)
    _serve_tasks(app, guarded, desk)
    _describe_callback(app)
    return app


def _serve_identify(app: FastAPI, guarded: list[Any], name: str, desk: _Desk, journal: Journal[_Task]) -> None:
    @app.post(
        "/v1/identify/{galleryId}",
        operation_id="identify",
        status_code=202,
        dependencies=guarded,
        responses=FAULTS,
        description=ONE_SEARCH,
    )
    async def identify(
        galleryId: str,  # noqa: N803 - the standard's name
        body: IdentifyRequest,
        asked: Annotated[Asked, Depends()],
        request: Request,
    ) -> TaskId:
        if galleryId != name:
            raise fault(404, "unknown gallery")
        content, picture = picture_of(body)

        async def submit() -> _Task:
            return desk.submit(asked, picture)

        task = await journal.once(asked.transaction_id, request_hash(request, await request.body()), content, submit)
        return TaskId(taskId=task.id)


def _serve_tasks(app: FastAPI, guarded: list[Any], desk: _Desk) -> None:
    def known(task_id: str) -> _Task:
        if task_id not in desk.tasks:
            raise fault(404, "unknown task")
        return desk.tasks[task_id]

    @app.get(
        "/v1/tasks/{taskId}/status",
        operation_id="readTaskStatus",
        dependencies=guarded,
        responses=FAULTS,
        response_model_exclude_none=True,
    )
    async def status(taskId: str) -> TaskStatus | Word:  # noqa: N803 - the standard's name
        task = known(taskId)
        return task.word if desk.by_callback else TaskStatus(status=task.word, candidates=task.candidates)

    @app.post(
        "/v1/tasks/{taskId}/redeliver",
        operation_id="redeliverTaskResult",
        status_code=204,
        dependencies=guarded,
        responses={**FAULTS, 409: {"model": Fault, "description": "There is no result"}},
    )
    async def redeliver(taskId: str) -> Response:  # noqa: N803 - the standard's name
        task = known(taskId)
        if task.candidates is None:
            raise fault(409, "there is no result yet")
        desk.redeliver(task)
        return Response(status_code=204)


def _describe_callback(app: FastAPI) -> None:
    @app.webhooks.post(
        "identifyResponse",
        operation_id="identifyResponse",
        status_code=204,
        description=(
            "Sent to the broker's registered address, signed with the shared secret: HMAC-SHA256 over the time, the "
            "method, path with query, and body, each of the first three followed by a line feed."
        ),
    )
    def identify_response(
        transactionId: str,  # noqa: N803 - the standard's name
        taskId: str,  # noqa: N803 - the standard's name
        body: list[Candidate],
        signature: Annotated[str, Header(alias=SIGNATURE_HEADER, description="t=<unix seconds>,v1=<hex>")],
    ) -> None:
        raise NotImplementedError  # Described here, served by the broker.
