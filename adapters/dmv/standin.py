"""An invented motor vehicle department. Synthetic from end to end: drawn faces, made-up references.

It is sent a face search as a transaction file and answers with one at once: the candidate list, or why it refuses.

Settings: ``PARTNER_KEY_FILE`` (the secret shared with the broker), and for tests ``PARTNER_CLAIMED_OWNER`` (says that
its records belong to somebody else) and ``PARTNER_GALLERY``.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from PIL import Image
from starlette.concurrency import run_in_threadpool

from adapters.dmv import itl
from adapters.dmv.mapping import (
    CANDIDATES,
    CONTROL,
    DATE,
    FINDING,
    FROM,
    KIND,
    MOST,
    PATH,
    REFERENCE,
    REMARK,
    REPOSITORY,
    TO,
)
from adapters.faces.comparing import NotAPicture, open_picture
from adapters.faces.people import Match, gallery
from adapters.serving.application import application, fault, guard, secret_of
from adapters.serving.journal import Journal, OtherRequest

OWNER: Final = "STATE-EX-DMV"
_FAMILIES: Final = tuple(range(301, 311))
_LONGEST: Final = 30_000_000
_MOST: Final = 50
_FILE: Final = {itl.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
_DESCRIPTION: Final = (
    "A stand-in with synthetic data, speaking ANSI/NIST-ITL transaction files in the traditional encoding: a face "
    "search (FRS) in, its candidate list (SRB) or its refusal (ERRT) out."
)
_ONE_SEARCH: Final = (
    "A repeated transaction number (1.009) with the same file is the same search, and is answered alike; with another "
    "file it is refused."
)


class _Refused(Exception):
    """The transaction is answered with an ERRT of this word, under this status."""

    def __init__(self, word: str, status: int = 400) -> None:
        super().__init__(word)
        self.word = word
        self.status = status


def build(settings: Mapping[str, str]) -> FastAPI:
    """The app, ready to be served."""
    owner = settings.get("PARTNER_CLAIMED_OWNER", OWNER)
    name = settings.get("PARTNER_GALLERY", "drivers")
    records = gallery("D", _FAMILIES)
    journal: Journal[bytes] = Journal()
    app = application("Invented partner: drivers' records", _DESCRIPTION, "0500", journal, _plain)
    answers: dict[int | str, dict[str, Any]] = {
        200: {"content": _FILE, "description": "The candidate list (SRB)"},
        400: {"content": _FILE, "description": "The transaction is refused (ERRT)"},
        403: {"description": "Not allowed"},
        404: {"content": _FILE, "description": "Unknown repository (ERRT)"},
    }

    @app.post(
        PATH,
        operation_id="transact",
        dependencies=[guard(secret_of(settings))],
        response_class=Response,
        responses=answers,
        description=_ONE_SEARCH,
        openapi_extra={"requestBody": {"required": True, "content": _FILE}},
    )
    async def transact(request: Request) -> Response:
        content = await _bounded(request)
        number = _number_of(content)
        try:
            head, text, face = _search_in(content, name)
            picture, image = _picture(face)

            async def search() -> bytes:
                found = await run_in_threadpool(records.search, picture, most=_most(text))
                return _list_file(number, head, found, owner)

            answer = await journal.once(number, hashlib.sha256(content).hexdigest(), image, search)
        except _Refused as refused:
            return Response(_refusal_file(number, refused.word), refused.status, media_type=itl.MEDIA_TYPE)
        except OtherRequest:
            return Response(_refusal_file(number, "OTHER TRANSACTION"), 400, media_type=itl.MEDIA_TYPE)
        return Response(answer, media_type=itl.MEDIA_TYPE)

    return app


def _plain(status: int, message: str) -> Response:
    return Response(message, status, media_type="text/plain")


async def _bounded(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _LONGEST:
            raise fault(413, "the transaction is too large")
    return bytes(content)


def _number_of(content: bytes) -> str:
    """The number under which even a refusal is answered; empty if it cannot be read."""
    try:
        return itl.read(content)[0].one(CONTROL) or ""
    except itl.NotAFile:
        return ""


def _search_in(content: bytes, name: str) -> tuple[itl.Record, itl.Record, itl.Record]:
    try:
        records = itl.read(content)
    except itl.NotAFile:
        raise _Refused("BAD TRANSACTION") from None
    if [record.type for record in records] != [itl.TRANSACTION, itl.TEXT, itl.FACE]:
        raise _Refused("BAD TRANSACTION")
    head, text, face = records
    if head.one(KIND) != "FRS" or not head.one(CONTROL) or not head.one(DATE):
        raise _Refused("BAD TRANSACTION")
    if text.one(REPOSITORY) != name:
        raise _Refused("UNKNOWN REPOSITORY", 404)
    return head, text, face


def _picture(face: itl.Record) -> tuple[Image.Image, bytes]:
    content = face.image or b""
    try:
        picture = open_picture(content)
    except NotAPicture:
        raise _Refused("BAD IMAGE") from None
    if (face.one(6), face.one(7)) != (str(picture.width), str(picture.height)):
        raise _Refused("BAD IMAGE")
    return picture, content


def _most(text: itl.Record) -> int:
    wanted = text.one(MOST) or ""
    if not wanted.isdigit() or not 1 <= int(wanted) <= _MOST:
        raise _Refused("BAD TRANSACTION")
    return int(wanted)


def _list_file(number: str, asked: itl.Record, found: tuple[Match, ...], owner: str) -> bytes:
    rows = tuple(
        (
            str(rank),
            match.record.reference,
            str(round(match.score * 1000)),
            owner,
            "lead_only",
            str(match.record.facts["drawnOn"]),
        )
        for rank, match in enumerate(found, start=1)
    )
    fields: dict[int, itl.Value] = {itl.IDENTIFIER: itl.single("00"), FINDING: itl.single("I" if rows else "N")}
    if rows:
        fields[CANDIDATES] = rows
    return _file("SRB", number, asked.one(DATE) or "", itl.Record(itl.TEXT, fields))


def _refusal_file(number: str, word: str) -> bytes:
    fields = {itl.IDENTIFIER: itl.single("00"), REMARK: itl.single(word)}
    return _file("ERRT", number, "", itl.Record(itl.TEXT, fields))


def _file(kind: str, number: str, day: str, text: itl.Record) -> bytes:
    head = {
        KIND: itl.single(kind),
        DATE: itl.single(day),
        TO: itl.single("EXBROKER1"),
        FROM: itl.single("EXDMV0001"),
        CONTROL: itl.single(f"EX-{number}"),
        REFERENCE: itl.single(number),
    }
    return itl.write(itl.transaction(head, (text,)))
