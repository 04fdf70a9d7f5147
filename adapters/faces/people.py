"""The invented people of the stand-ins: drawn, with made-up record references, and nobody's name.

They come in families of four. The first of each is drawn from the family's number, the other three look more and
less like it, so that a search for the first ranks several candidates. Five families are in every stand-in's gallery,
ten are in one only. A `STRANGER` is in none.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from PIL import Image

from adapters.faces.comparing import Likeness, likeness, score
from adapters.faces.drawing import draw
from adapters.faces.features import Face, face_of

SHARED_FAMILIES: Final = (3, 5, 8, 13, 21)
STRANGERS: Final = (1009, 1013, 1019, 1021)
THRESHOLD: Final = 0.78
"""Below this two pictures are of different people, as far as the drawn galleries go."""

_FAMILY_SIZE: Final = 4
_DIFFERING: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("brow_tilt", "brow_weight", "marks"),
    ("mouth", "nose", "glasses", "eye_size"),
    ("mouth", "mouth_width", "glasses", "marks", "collar", "eye_gap"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person; the same one in every gallery that has the family."""

    family: int
    sibling: int

    @property
    def face(self) -> Face:
        """How the person looks."""
        return face_of(self.family, other=self.sibling, differing=_DIFFERING[self.sibling])


@dataclass(frozen=True, slots=True)
class Record:
    """One person as one stand-in keeps it."""

    reference: str
    facts: Mapping[str, str | int]
    person: Person

    @property
    def likeness(self) -> Likeness:
        """What is compared. Drawn when it is first needed, so that a stand-in starts quickly."""
        return _likeness_of(self.person)


@dataclass(frozen=True, slots=True)
class Match:
    """A record above the threshold."""

    record: Record
    score: float


class Gallery:
    """What one stand-in searches."""

    def __init__(self, records: tuple[Record, ...]) -> None:
        self.records = records

    def search(self, picture: Image.Image, *, most: int, threshold: float = THRESHOLD) -> tuple[Match, ...]:
        """The records at least as alike as *threshold*, best first, at most *most* of them."""
        probe = likeness(picture)
        found = [Match(record, round(min(1.0, score(probe, record.likeness)), 4)) for record in self.records]
        ranked = sorted(
            (match for match in found if match.score >= threshold),
            key=lambda match: (-match.score, match.record.reference),
        )
        return tuple(ranked[:most])


def gallery(letter: str, own_families: tuple[int, ...]) -> Gallery:
    """The shared families and *own_families*; references begin with *letter*, as in ``R-0137``."""
    people = [
        Person(family, sibling) for family in (*SHARED_FAMILIES, *own_families) for sibling in range(_FAMILY_SIZE)
    ]
    return Gallery(tuple(_record(letter, index, person) for index, person in enumerate(people)))


def _record(letter: str, index: int, person: Person) -> Record:
    # Seven apart, from a start of each gallery's own, so that a reference says nothing about the other gallery.
    number = 100 + ord(letter) % 40 + 7 * index
    mark = hashlib.sha256(f"{letter}/{person.family}/{person.sibling}".encode()).digest()
    facts: dict[str, str | int] = {
        "recordKind": "drawing",
        "drawnOn": f"20{10 + mark[0] % 14:02d}-{1 + mark[1] % 12:02d}-{1 + mark[2] % 28:02d}",
        "sheet": 1 + mark[3] % 40,
        "ink": person.face.skin,
    }
    return Record(f"{letter}-{number:04d}", facts, person)


@cache
def _likeness_of(person: Person) -> Likeness:
    return likeness(draw(person.face))
