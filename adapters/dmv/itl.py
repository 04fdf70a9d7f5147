"""Transaction files of ANSI/NIST-ITL in the traditional encoding, as far as a face search needs them. Pure.

A file is a row of records of the types 1 (the transaction), 2 (descriptive text) and 10 (a face image). A record is
fields, each ``TYPE.NUMBER:VALUE``, parted by GS and ended by FS; its first field is its own length in bytes. A value is
subfields parted by RS, and these are items parted by US. The image is the last field of its record and is found by the
record's length, as its bytes may hold any separator.

Reading is strict, so that one file has one meaning: what was read is written back to the very same bytes. Everything
else is `NotAFile`, with what was wrong.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

FS, GS, RS, US = "\x1c", "\x1d", "\x1e", "\x1f"
MEDIA_TYPE: Final = "application/octet-stream"

TRANSACTION, TEXT, FACE = 1, 2, 10
"""The types of record."""
LENGTH, IDENTIFIER, CONTENTS, IMAGE = 1, 2, 3, 999
"""Numbers of fields: 1.003 lists the records that follow; 2.002 and 10.002 are the numbers they are listed under."""

_MOST_RECORDS: Final = 20
_MOST_FIELDS: Final = 200
_MOST_ITEMS: Final = 5_000
"""Of one field. Each costs some hundred bytes and a look, so that a megabyte of separators would hold everybody up."""
_HEAD: Final = re.compile(rb"([1-9][0-9]?)\.001:([1-9][0-9]{0,8})(?=[\x1c\x1d])")
_FIELD: Final = re.compile(rb"([1-9][0-9]?)\.(00[1-9]|0[1-9][0-9]|[1-9][0-9]{2,8}):(.*)", re.DOTALL)
_ITEM: Final = re.compile(r"[ -~]*")
_RECORD_NUMBER: Final = re.compile(r"[0-9]{1,2}")

Value = tuple[tuple[str, ...], ...]
"""A field's subfields, each with its items."""


class Fault(StrEnum):
    """Why some bytes are not one transaction file."""

    EMPTY = "empty"
    TRUNCATED = "truncated"
    """It ends before a record does."""
    WRONG_LENGTH = "wrong_length"
    """A record does not end where its own length says."""
    NOT_A_FIELD = "not_a_field"
    DUPLICATE_FIELD = "duplicate_field"
    BAD_CHARACTER = "bad_character"
    UNKNOWN_RECORD = "unknown_record"
    """A type of record that is no part of a face search, or out of its place."""
    WRONG_CONTENTS = "wrong_contents"
    """The transaction lists other records than there are."""
    TOO_MUCH = "too_much"


class NotAFile(ValueError):
    """The bytes, or the records to be written, are not one transaction file."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Record:
    """One record without its length, which follows from the rest."""

    type: int
    fields: Mapping[int, Value]
    """By number, in their order in the file."""
    image: bytes | None = field(default=None, repr=False)

    def one(self, number: int) -> str | None:
        """The only item of a field that has just one; None if it is missing or has more."""
        value = self.fields.get(number, ())
        return value[0][0] if len(value) == 1 and len(value[0]) == 1 else None


def single(text: str) -> Value:
    """A field of one item."""
    return ((text,),)


def transaction(fields: Mapping[int, Value], following: Sequence[Record]) -> tuple[Record, ...]:
    """A whole transaction: its own record, which lists those *following*, and then these."""
    head = {IDENTIFIER: single("0500"), CONTENTS: _contents(following), **fields}
    return (Record(TRANSACTION, head), *following)


def write(records: Sequence[Record]) -> bytes:
    """The file's bytes. Raises `NotAFile` for records that would not be read back as they are."""
    content = b"".join(_record_bytes(record) for record in records)
    if read(content) != tuple(records):
        raise NotAFile(Fault.BAD_CHARACTER)
    return content


def read(content: bytes) -> tuple[Record, ...]:
    """The records of a file. Raises `NotAFile`. The caller has bounded its size."""
    if not content:
        raise NotAFile(Fault.EMPTY)
    records: list[Record] = []
    start = 0
    while start < len(content):
        if len(records) == _MOST_RECORDS:
            raise NotAFile(Fault.TOO_MUCH)
        kind, end = _extent(content, start)
        records.append(_record(kind, content[start : end - 1]))
        start = end
    _check_contents(records)
    return tuple(records)


def _extent(content: bytes, start: int) -> tuple[int, int]:
    """The type of the record at *start*, and where it ends by its own word."""
    head = _HEAD.match(content, start, start + 16)
    if head is None:
        raise NotAFile(Fault.TRUNCATED if len(content) - start < 16 else Fault.NOT_A_FIELD)
    kind, end = int(head[1]), start + int(head[2])
    if kind not in (TRANSACTION, TEXT, FACE):
        raise NotAFile(Fault.UNKNOWN_RECORD)
    if end > len(content):
        raise NotAFile(Fault.TRUNCATED)
    if end <= head.end() or content[end - 1 : end] != FS.encode():
        raise NotAFile(Fault.WRONG_LENGTH)
    return kind, end


def _record(kind: int, body: bytes) -> Record:
    image: bytes | None = None
    if kind == FACE:
        body, mark, image = body.partition(f"{GS}{FACE}.{IMAGE}:".encode())
        if not mark:
            raise NotAFile(Fault.NOT_A_FIELD)
    if FS.encode() in body:
        raise NotAFile(Fault.WRONG_LENGTH)
    parts = body.split(GS.encode(), _MOST_FIELDS)
    if len(parts) > _MOST_FIELDS:
        raise NotAFile(Fault.TOO_MUCH)
    fields: dict[int, Value] = {}
    for part in parts:
        number, value = _field(kind, part)
        if number in fields:
            raise NotAFile(Fault.DUPLICATE_FIELD)
        fields[number] = value
    del fields[LENGTH]
    return Record(kind, fields, image)


def _field(kind: int, part: bytes) -> tuple[int, Value]:
    found = _FIELD.fullmatch(part)
    if found is None or int(found[1]) != kind or int(found[2]) == IMAGE:
        raise NotAFile(Fault.NOT_A_FIELD)
    try:
        text = found[3].decode("ascii")
    except UnicodeDecodeError:
        raise NotAFile(Fault.BAD_CHARACTER) from None
    if text.count(RS) + text.count(US) >= _MOST_ITEMS:
        raise NotAFile(Fault.TOO_MUCH)
    value = tuple(tuple(subfield.split(US)) for subfield in text.split(RS))
    if any(_ITEM.fullmatch(item) is None for subfield in value for item in subfield):
        raise NotAFile(Fault.BAD_CHARACTER)
    return int(found[2]), value


def _check_contents(records: Sequence[Record]) -> None:
    """The first record is the transaction's, the only one of its type, and lists exactly the others."""
    first, *following = records
    if first.type != TRANSACTION or any(record.type == TRANSACTION for record in following):
        raise NotAFile(Fault.UNKNOWN_RECORD)
    contents = _contents(following)
    numbers = {int(number) for _type, number in contents[1:]}
    if len(numbers) < len(following) or first.fields.get(CONTENTS) != contents:
        raise NotAFile(Fault.WRONG_CONTENTS)


def _contents(following: Sequence[Record]) -> Value:
    listed: list[tuple[str, ...]] = [(str(TRANSACTION), str(len(following)))]
    for record in following:
        number = record.one(IDENTIFIER)
        if number is None or _RECORD_NUMBER.fullmatch(number) is None:
            raise NotAFile(Fault.WRONG_CONTENTS)
        listed.append((str(record.type), number))
    return tuple(listed)


def _record_bytes(record: Record) -> bytes:
    fields = [_field_text(record.type, number, value) for number, value in record.fields.items()]
    try:
        body = GS.join(["", *fields]).encode("ascii")
    except UnicodeEncodeError:
        raise NotAFile(Fault.BAD_CHARACTER) from None
    if record.image is not None:
        body += f"{GS}{record.type}.{IMAGE}:".encode("ascii") + record.image
    body += FS.encode()
    head = f"{record.type}.{LENGTH:03}:".encode("ascii")
    length = len(head) + len(body)
    # The length counts its own digits.
    while (whole := len(head) + len(str(length)) + len(body)) != length:
        length = whole
    return head + str(length).encode("ascii") + body


def _field_text(kind: int, number: int, value: Value) -> str:
    return f"{kind}.{number:03}:" + RS.join(US.join(subfield) for subfield in value)
