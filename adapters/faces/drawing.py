"""Draws a `Face` with flat inks. Cartoons only: no photograph of anybody goes into them or comes out."""

from typing import Final

from PIL import Image, ImageDraw

from adapters.faces.features import INKS, Face

SIZE: Final = (240, 300)
_SCALE: Final = 2
"""Drawn this much larger and reduced, so that edges are smooth."""


class _Pen:
    """Draws on one picture in hundredths of its width, measured from the top left corner."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        self._unit = image.width / 100

    def _box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        unit = self._unit
        return (left * unit, top * unit, right * unit, bottom * unit)

    def oval(self, middle: float, height: float, across: float, down: float, ink: str) -> None:
        self._draw.ellipse(self._box(middle - across, height - down, middle + across, height + down), fill=INKS[ink])

    def ring(self, middle: float, height: float, radius: float, ink: str) -> None:
        box = self._box(middle - radius, height - radius, middle + radius, height + radius)
        self._draw.ellipse(box, outline=INKS[ink], width=round(1.6 * self._unit))

    def block(self, left: float, top: float, right: float, bottom: float, ink: str, corner: float = 0) -> None:
        self._draw.rounded_rectangle(self._box(left, top, right, bottom), radius=corner * self._unit, fill=INKS[ink])

    def frame(self, left: float, top: float, right: float, bottom: float, ink: str) -> None:
        self._draw.rectangle(self._box(left, top, right, bottom), outline=INKS[ink], width=round(1.6 * self._unit))

    def line(self, points: tuple[tuple[float, float], ...], ink: str, weight: float) -> None:
        self._draw.line(
            [(x * self._unit, y * self._unit) for x, y in points],
            fill=INKS[ink],
            width=max(1, round(weight * self._unit)),
            joint="curve",
        )

    def shape(self, points: tuple[tuple[float, float], ...], ink: str) -> None:
        self._draw.polygon([(x * self._unit, y * self._unit) for x, y in points], fill=INKS[ink])

    def arc(self, box: tuple[float, float, float, float], start: int, end: int, ink: str, weight: float) -> None:
        self._draw.arc(self._box(*box), start, end, fill=INKS[ink], width=round(weight * self._unit))


def draw(face: Face) -> Image.Image:
    """The face as an RGB picture of `SIZE`."""
    image = Image.new("RGB", (SIZE[0] * _SCALE, SIZE[1] * _SCALE), INKS[face.backdrop])
    pen = _Pen(image)
    for layer in (_hair_behind, _collar, _head, _hair, _eyes, _nose, _mouth, _marks, _glasses):
        layer(pen, face)
    return image.resize(SIZE, Image.Resampling.LANCZOS)


_CENTRE: Final = 50.0
_MIDDLE: Final = 64.0


def _head(pen: _Pen, face: Face) -> None:
    across, down = face.head_width / 2, face.head_height / 2
    if face.ears:
        for side in (-1, 1):
            pen.oval(_CENTRE + side * across, _MIDDLE, face.ears / 2 + 1, face.ears, face.skin)
    corner = min(face.head_corner, face.head_width / 2)
    pen.block(_CENTRE - across, _MIDDLE - down, _CENTRE + across, _MIDDLE + down, face.skin, corner)


def _collar(pen: _Pen, face: Face) -> None:
    pen.block(42, 90, 58, 112, face.skin)
    pen.block(14, 106, 86, 140, face.collar_ink, 12)
    if face.collar == "pointed":
        pen.shape(((40, 104), (50, 122), (60, 104)), face.skin)
    elif face.collar == "scarf":
        pen.block(32, 101, 68, 111, face.marks_ink, 4)
    elif face.collar == "bow":
        pen.shape(((36, 106), (50, 112), (36, 120)), face.marks_ink)
        pen.shape(((64, 106), (50, 112), (64, 120)), face.marks_ink)


def _hair_behind(pen: _Pen, face: Face) -> None:
    if face.hair == "long":
        across = face.head_width / 2 + 7
        pen.block(_CENTRE - across, 64 - face.head_height / 2 - 4, _CENTRE + across, 112, face.hair_ink, 18)


def _hair(pen: _Pen, face: Face) -> None:
    across, top = face.head_width / 2, _MIDDLE - face.head_height / 2
    left, right = _CENTRE - across, _CENTRE + across
    match face.hair:
        case "fringe" | "long":
            pen.block(left, top - 3, right, top + 14, face.hair_ink, 8)
        case "tall":
            pen.block(left + 3, top - 14, right - 3, top + 10, face.hair_ink, 6)
        case "curls":
            for step in range(7):
                pen.oval(left + step * (right - left) / 6, top + 4, 7, 8, face.hair_ink)
        case "side":
            pen.shape(
                ((left - 2, top + 30), (left, top), (right, top - 3), (right, top + 8), (left + 8, top + 16)),
                face.hair_ink,
            )
        case "crest":
            pen.block(_CENTRE - 6, top - 16, _CENTRE + 6, top + 14, face.hair_ink, 5)
        case _:
            pass


def _eyes(pen: _Pen, face: Face) -> None:
    for side in (-1, 1):
        middle = _CENTRE + side * face.eye_gap
        pen.oval(middle, face.eye_height + 6, face.eye_size + 1.5, face.eye_size, "chalk")
        pen.oval(middle, face.eye_height + 6, face.eye_size * 0.55, face.eye_size * 0.6, face.eye_ink)
        tilt = side * face.brow_tilt
        height = face.eye_height + 3 - face.eye_size
        pen.line(
            ((middle - 6, height - tilt / 2), (middle + 6, height + tilt / 2)),
            "soot" if face.hair == "none" else face.hair_ink,
            face.brow_weight,
        )


def _nose(pen: _Pen, face: Face) -> None:
    match face.nose:
        case "dot":
            pen.oval(_CENTRE, 72, 2.5, 2, face.marks_ink)
        case "wedge":
            pen.shape(((_CENTRE, 62), (_CENTRE - 5, 75), (_CENTRE + 4, 75)), face.marks_ink)
        case "bar":
            pen.line(((_CENTRE, 60), (_CENTRE, 74)), face.marks_ink, 2.5)
        case _:
            pen.ring(_CENTRE, 71, 4, face.marks_ink)


def _mouth(pen: _Pen, face: Face) -> None:
    width, height = face.mouth_width, 84.0
    box = (_CENTRE - width, height - 7, _CENTRE + width, height + 5)
    match face.mouth:
        case "smile":
            pen.arc(box, 15, 165, "soot", 2)
        case "frown":
            pen.arc((box[0], height, box[2], height + 10), 195, 345, "soot", 2)
        case "open":
            pen.oval(_CENTRE, height, width * 0.6, 5, "rust")
        case "teeth":
            pen.block(_CENTRE - width, height - 3, _CENTRE + width, height + 4, "soot", 3)
            pen.block(_CENTRE - width + 2, height - 2, _CENTRE + width - 2, height + 1, "chalk")
        case "wave":
            step = width / 2
            pen.line(
                tuple((_CENTRE - width + step * index, height + (2 if index % 2 else -2)) for index in range(5)),
                "soot",
                2,
            )
        case _:
            pen.line(((_CENTRE - width, height), (_CENTRE + width, height)), "soot", 2)


def _marks(pen: _Pen, face: Face) -> None:
    match face.marks:
        case "freckles":
            for side in (-1, 1):
                for step in range(3):
                    pen.oval(_CENTRE + side * (13 + 4 * step), 72 + (step % 2) * 4, 1.4, 1.4, face.marks_ink)
        case "stripe":
            pen.line(((34, 70), (44, 88)), face.marks_ink, 2.5)
        case "star":
            pen.shape(((66, 68), (68, 74), (74, 74), (69, 78), (66, 84), (64, 78), (58, 76), (64, 73)), face.marks_ink)
        case "patch":
            pen.oval(_CENTRE + face.eye_gap, face.eye_height + 6, 9, 8, face.marks_ink)
        case "chin":
            pen.oval(_CENTRE, 96, 6, 4, face.marks_ink)
        case _:
            pass


def _glasses(pen: _Pen, face: Face) -> None:
    if face.glasses == "none":
        return
    height, gap, ink = face.eye_height + 6, face.eye_gap, face.glasses_ink
    for side in (1,) if face.glasses == "one" else (-1, 1):
        _lens(pen, face.glasses, _CENTRE + side * gap, height, ink)
    if face.glasses != "one":
        pen.line(((_CENTRE - gap + 8, height), (_CENTRE + gap - 8, height)), ink, 1.6)


def _lens(pen: _Pen, form: str, middle: float, height: float, ink: str) -> None:
    match form:
        case "round":
            pen.ring(middle, height, 9, ink)
        case "square":
            pen.frame(middle - 9, height - 7, middle + 9, height + 7, ink)
        case "one":
            pen.ring(middle, height, 10, ink)
        case _:
            pen.block(middle - 9, height - 5, middle + 9, height + 5, ink, 2)
