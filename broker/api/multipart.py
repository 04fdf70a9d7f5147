"""Reading a search: exactly the two parts `request` and `probe`, in memory only.

The probe must not touch a disk before it is sealed, so nothing is spooled; the body's length is bounded before this.
"""

from typing import Final

from fastapi import Request
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from broker.api.schemas.searches import SearchBody
from broker.kernel.errors import BrokerError, Invalid
from broker.kernel.strict_json import NotStrictJson
from broker.kernel.strict_json import read as read_json
from broker.search.probe import MAX_BYTES

REQUEST_BYTES: Final = 100_000
BODY_BYTES: Final = MAX_BYTES + REQUEST_BYTES + 10_000


class InvalidBody(BrokerError):
    """The part `request` does not fit; carries every fault, none of the input."""

    slug, status, title = Invalid.slug, Invalid.status, Invalid.title

    def __init__(self, fault: ValidationError) -> None:
        super().__init__("see `errors`")
        self.fault = fault


class _InMemory(MultiPartParser):
    spool_max_size = BODY_BYTES

    def on_headers_finished(self) -> None:
        # The probe is bytes also where its sender gives no file name; a part without one would be read as text.
        _, options = parse_options_header(self._current_part.content_disposition)
        if options.get(b"name") == b"probe" and b"filename" not in options:
            self._current_part.content_disposition = b'form-data; name="probe"; filename="probe"'
        super().on_headers_finished()


async def read_search(request: Request) -> tuple[SearchBody, bytes]:
    """The two parts; raises what becomes a 415 or 422."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415)
    parser = _InMemory(request.headers, request.stream(), max_files=2, max_fields=2, max_part_size=REQUEST_BYTES)
    try:
        form = await parser.parse()
    except MultiPartException:
        raise Invalid("the multipart body cannot be read") from None
    try:
        parts = form.multi_items()
        if sorted(name for name, _ in parts) != ["probe", "request"]:
            raise Invalid("send exactly two parts: `request` (JSON) and `probe` (an image file)")
        if isinstance(form["probe"], str):
            raise Invalid("the part `probe` cannot be read", "/probe")
        text = await _bytes(form["request"])
        probe = await _bytes(form["probe"])
    finally:
        await form.close()
    return _body(text), probe


async def _bytes(part: UploadFile | str) -> bytes:
    return part.encode() if isinstance(part, str) else await part.read()


def _body(text: bytes) -> SearchBody:
    if len(text) > REQUEST_BYTES:
        raise HTTPException(413)
    try:
        return SearchBody.model_validate(read_json(text))
    except NotStrictJson:
        raise Invalid("the part `request` is not JSON, or names a member twice", "/request") from None
    except ValidationError as fault:
        raise InvalidBody(fault) from None
