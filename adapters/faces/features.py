"""What a drawn face looks like, from a whole number: the same number gives the same face on every machine.

Each feature is taken from a hash of the number and the feature's name, so that one feature can differ between two
faces without disturbing the others: that is how look-alikes are made.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

Colour = tuple[int, int, int]
T = TypeVar("T")

# Inks of a picture book, none of them a colour of human skin.
INKS: Final[dict[str, Colour]] = {
    "teal": (64, 170, 160),
    "lilac": (190, 160, 225),
    "mint": (165, 225, 180),
    "sky": (125, 185, 235),
    "lemon": (240, 225, 110),
    "coral": (240, 120, 105),
    "moss": (120, 150, 80),
    "violet": (120, 85, 175),
    "slate": (95, 110, 130),
    "rose": (235, 150, 185),
    "rust": (170, 85, 50),
    "navy": (45, 60, 120),
    "chalk": (235, 235, 225),
    "soot": (50, 45, 50),
}
LIGHT_INKS: Final = ("teal", "lilac", "mint", "sky", "lemon", "coral", "moss", "rose", "chalk")


@dataclass(frozen=True, slots=True)
class Face:
    """All that is needed to draw one face. Lengths are in hundredths of the picture's width."""

    backdrop: str
    skin: str
    head_width: int
    head_height: int
    head_corner: int
    """How round: half of the width is an ellipse."""
    hair: str
    hair_ink: str
    ears: int
    eye_gap: int
    eye_size: int
    eye_ink: str
    eye_height: int
    brow_tilt: int
    brow_weight: int
    nose: str
    mouth: str
    mouth_width: int
    glasses: str
    glasses_ink: str
    marks: str
    marks_ink: str
    collar: str
    collar_ink: str


HAIR: Final = ("none", "fringe", "tall", "curls", "long", "side", "crest")
NOSES: Final = ("dot", "wedge", "bar", "ring")
MOUTHS: Final = ("smile", "flat", "open", "frown", "teeth", "wave")
GLASSES: Final = ("none", "none", "round", "square", "one", "bar")
MARKS: Final = ("none", "none", "freckles", "stripe", "star", "patch", "chin")
COLLARS: Final = ("round", "pointed", "scarf", "bow")


def face_of(seed: int, *, other: int = 0, differing: Iterable[str] = ()) -> Face:
    """The face of *seed*; the features named in *differing* are drawn from the number *other* instead."""
    changed = frozenset(differing)

    def pick(feature: str, options: tuple[T, ...]) -> T:
        number = f"{seed}/{other}" if feature in changed else str(seed)
        digest = hashlib.sha256(f"{number}:{feature}".encode()).digest()
        return options[int.from_bytes(digest[:8]) % len(options)]

    skin = pick("skin", LIGHT_INKS)
    inks = tuple(INKS)
    return Face(
        backdrop=pick("backdrop", tuple(ink for ink in inks if ink != skin)),
        skin=skin,
        head_width=pick("head_width", tuple(range(46, 71, 4))),
        head_height=pick("head_height", tuple(range(58, 87, 4))),
        head_corner=pick("head_corner", (14, 24, 36)),
        hair=pick("hair", HAIR),
        hair_ink=pick("hair_ink", tuple(ink for ink in inks if ink != skin)),
        ears=pick("ears", (0, 6, 9, 12)),
        eye_gap=pick("eye_gap", (10, 12, 14, 16)),
        eye_size=pick("eye_size", (4, 5, 6, 8)),
        eye_ink=pick("eye_ink", ("soot", "navy", "violet", "rust", "moss")),
        eye_height=pick("eye_height", (46, 50, 54, 58)),
        brow_tilt=pick("brow_tilt", (-4, -2, 0, 2, 4)),
        brow_weight=pick("brow_weight", (1, 2, 3, 4)),
        nose=pick("nose", NOSES),
        mouth=pick("mouth", MOUTHS),
        mouth_width=pick("mouth_width", (8, 11, 14)),
        glasses=pick("glasses", GLASSES),
        glasses_ink=pick("glasses_ink", ("soot", "navy", "rust", "chalk")),
        marks=pick("marks", MARKS),
        marks_ink=pick("marks_ink", ("rust", "violet", "soot", "coral")),
        collar=pick("collar", COLLARS),
        collar_ink=pick("collar_ink", inks),
    )
