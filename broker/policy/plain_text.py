"""Bytes into text, strictly: what an editor shows must be what the engine reads.

A byte order mark hides a first line from some readers, a control or format character can make two different ids
look alike or turn the order of a line around. None of them is needed in a policy.
"""

import unicodedata
from typing import Final

from broker.policy.faults import Faults

MAX_FILE_BYTES: Final = 262_144
"""Size of one file. A policy that needs more holds grants, which belong into the register."""

_MARKS: Final = {b"\xef\xbb\xbf": "UTF-8", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def decode(file: str, content: bytes, faults: Faults) -> str | None:
    """The text with plain newlines, or None when it cannot be trusted to be what it seems."""
    if len(content) > MAX_FILE_BYTES:
        faults.add(file, 0, f"the file is larger than {MAX_FILE_BYTES} bytes")
        return None
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            faults.add(file, 1, f"the file starts with a {encoding} byte order mark; save it as UTF-8 without one")
            return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as broken:
        line = content.count(b"\n", 0, broken.start) + 1
        faults.add(file, line, "this is not UTF-8")
        return None
    return _seen(file, text.replace("\r\n", "\n"), faults)


def _seen(file: str, text: str, faults: Faults) -> str | None:
    before = len(faults)
    for number, line in enumerate(text.split("\n"), start=1):
        for character in line:
            # The no-break space and its like look like a space and are none.
            if unicodedata.category(character) in _UNSEEN or (character.isspace() and character != " "):
                name = unicodedata.name(character, "a control character")
                faults.add(file, number, f"the unseen character U+{ord(character):04X} ({name}) is not allowed")
                break
    return text if len(faults) == before else None
