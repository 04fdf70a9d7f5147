"""A search as a transaction file, and what the file that comes back says. Pure.

The files are ANSI/NIST-ITL (`adapters.dmv.itl`); the transactions are a face search (``FRS``), its answer (``SRB``) and
a refusal (``ERRT``). The text fields used beside the standard's own are those of an interface document that the
invented state is taken to have, listed in ``docs/partners.md``. Scores run from 0 to 1000; higher is more alike.
"""

import io
from collections.abc import Mapping
from typing import Final

from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from adapters.dmv import itl
from adapters.failures import MALFORMED, read_failure
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    Handling,
    NoHit,
    Octets,
    OrderTerms,
    Outcome,
    Refusal,
    Refused,
    ReportedCandidate,
    SearchOrder,
    WireReply,
)

PATH: Final = "/transactions"

KIND, DATE, TO, FROM, CONTROL, REFERENCE = 4, 5, 7, 8, 9, 10
"""Fields of the transaction's record: what it is, its day, receiver, sender, its own number, the number it answers."""
FINDING, REMARK, MOST, REPOSITORY, CANDIDATES = 59, 60, 79, 98, 2033
"""Text fields: hit or none, the word of a refusal, candidates wanted, which gallery, the list."""

_SENDER, _RECEIVER = "EXBROKER1", "EXDMV0001"
_ROW: Final = 6
"""Items of one candidate: rank, reference, score, owner, caveats, day of the drawing."""
_REFUSALS: Final[Mapping[str, Refusal]] = {
    "BAD TRANSACTION": Refusal.BAD_REQUEST,
    "BAD IMAGE": Refusal.BAD_REQUEST,
    "UNKNOWN REPOSITORY": Refusal.UNKNOWN_GALLERY,
    "OTHER TRANSACTION": Refusal.OTHER,
}


def search_file(order: SearchOrder) -> Octets | None:
    """The order as a file; None without a day, which every transaction must bear."""
    if order.asked_on is None:
        return None
    text = itl.Record(
        itl.TEXT,
        {
            itl.IDENTIFIER: itl.single("00"),
            MOST: itl.single(str(order.max_candidates)),
            REPOSITORY: itl.single(order.gallery),
        },
    )
    head = {
        KIND: itl.single("FRS"),
        DATE: itl.single(order.asked_on.strftime("%Y%m%d")),
        TO: itl.single(_RECEIVER),
        FROM: itl.single(_SENDER),
        CONTROL: itl.single(order.transaction_id),
        11: itl.single("00.00"),
        12: itl.single("00.00"),
    }
    return Octets(itl.write(itl.transaction(head, (text, _face(order.probe.content)))), itl.MEDIA_TYPE)


def _face(image: bytes) -> itl.Record:
    try:
        with Image.open(io.BytesIO(image), formats=("JPEG",)) as picture:
            width, height = picture.size
    except (UnidentifiedImageError, OSError):
        width, height = 0, 0  # The partner will refuse it; the order says no more than that it begins like a JPEG.
    fields = {
        itl.IDENTIFIER: "01",
        3: "FACE",
        4: _SENDER,
        6: str(width),
        7: str(height),
        8: "0",
        9: "1",
        10: "1",
        11: "JPEGB",
        12: "YCC",
    }
    return itl.Record(itl.FACE, {number: itl.single(text) for number, text in fields.items()}, image)


def read_answer(reply: WireReply, order: OrderTerms) -> Outcome:
    """What came back: a candidate list, "no hit", a refusal; anything else is a failure."""
    if reply.status != 200:
        return _refused(reply.octets, order) or read_failure(reply.status)
    answer = _answer_to(order, reply.octets)
    if answer is None:
        return MALFORMED
    kind, text = answer
    if kind == "ERRT":
        return _refusal(text)
    return _list(text) if kind == "SRB" else MALFORMED


def _refused(octets: bytes | None, order: OrderTerms) -> Outcome | None:
    answer = _answer_to(order, octets)
    return _refusal(answer[1]) if answer is not None and answer[0] == "ERRT" else None


def _refusal(text: itl.Record) -> Refused | Failed:
    word = text.one(REMARK) or ""
    if word == "SYSTEM ERROR":
        return Failed(kind=FailureKind.PARTNER_ERROR)
    return Refused(code=_REFUSALS.get(word, Refusal.OTHER))


def _answer_to(order: OrderTerms, octets: bytes | None) -> tuple[str, itl.Record] | None:
    """The kind and text of the file, if it is one and answers this very order."""
    try:
        records = itl.read(octets or b"")
    except itl.NotAFile:
        return None
    if [record.type for record in records] != [itl.TRANSACTION, itl.TEXT]:
        return None
    head, text = records
    kind = head.one(KIND)
    return (kind, text) if kind is not None and head.one(REFERENCE) == order.transaction_id else None


def _list(text: itl.Record) -> Outcome:
    finding, rows = text.one(FINDING), text.fields.get(CANDIDATES)
    if finding == "N" and rows is None:
        return NoHit()
    if finding != "I" or rows is None:
        return MALFORMED
    try:
        return Answered(candidates=tuple(_candidate(row) for row in rows))
    except ValueError:  # A number that is none, a row of another length, or a value that the contract refuses.
        return MALFORMED


def _candidate(row: tuple[str, ...]) -> ReportedCandidate:
    if len(row) != _ROW:
        raise ValueError("a candidate has another number of items")
    rank, reference, score, owner, caveats, drawn_on = row
    if not rank.isdigit() or not score.isdigit():
        raise ValueError("a rank or score is no whole number")
    try:
        handling = Handling(
            owner=owner or None, caveats=tuple(caveats.split(" ")) if caveats else (), source_reference=reference
        )
        return ReportedCandidate(
            reference=reference,
            rank=int(rank),
            score=float(score),
            handling=handling,
            facts={"drawn_on": drawn_on} if drawn_on else {},
        )
    except ValidationError as error:
        raise ValueError("a candidate that cannot be") from error
