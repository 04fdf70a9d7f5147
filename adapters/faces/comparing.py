"""How alike two pictures are, from their pixels alone.

A picture becomes a small grid of colours, freed of overall brightness and contrast. Two grids are laid over each
other and every place says how near its two colours are; places in the middle, where the face is, count more than
those at the edge. The score is the share of the picture that agrees, from 0 to 1, at the best of a few crops,
so that another size, a fresh JPEG, a little more light or a trimmed edge matter little.
"""

import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFilter, UnidentifiedImageError

_ACROSS, _DOWN = 12, 15
_LIGHT_WEIGHT: Final = 1.0
_SHARE_WEIGHT: Final = 7.0
"""Together: colours that are 1 apart do not agree at all."""
_MOST_LIGHT: Final = 0.25 * _LIGHT_WEIGHT
"""A picture may be lighter or darker as a whole by about a quarter."""
_WORTH_CROPPING: Final = 0.45
_EDGE_WEIGHT: Final = 0.3
_CROPS: Final = (0.0, 0.03, 0.06)
"""Shares of the width and height that may have been trimmed from every edge."""
MAX_PIXELS: Final = 25_000_000

Cell = tuple[float, float, float]


class NotAPicture(ValueError):
    """The bytes are not an image that can be searched for, or a larger one than is accepted."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A picture made ready for comparison: one grid of lightness, blueness and redness for each crop."""

    grids: tuple[tuple[Cell, ...], ...]


def open_picture(content: bytes) -> Image.Image:
    """The image in *content* as RGB. Raises `NotAPicture`; a small file that unfolds to a huge image is one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as image:
                if image.width * image.height > MAX_PIXELS or min(image.size) < _DOWN:
                    raise NotAPicture("too large or too small")
                return image.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise NotAPicture("cannot be read as an image") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAPicture("too large") from error


def likeness(image: Image.Image) -> Likeness:
    """What is compared of *image*."""
    return Likeness(tuple(_grid(_cropped(image, share)) for share in _CROPS))


def score(probe: Likeness, record: Likeness) -> float:
    """How alike two pictures are, 0 to 1: one of them trimmed against the other one whole, at the best crop."""
    whole = _agreement(probe.grids[0], record.grids[0])
    if whole < _WORTH_CROPPING:
        return whole
    pairs = [(grid, record.grids[0]) for grid in probe.grids[1:]]
    pairs += [(probe.grids[0], grid) for grid in record.grids[1:]]
    return max(whole, *(_agreement(one, other) for one, other in pairs))


def _agreement(one: tuple[Cell, ...], other: tuple[Cell, ...]) -> float:
    brighter = sum(a[0] - b[0] for a, b in zip(one, other, strict=True)) / len(one)
    brighter = max(-_MOST_LIGHT, min(_MOST_LIGHT, brighter))
    total = 0.0
    for weight, (light, red, green), (other_light, other_red, other_green) in zip(_WEIGHTS, one, other, strict=True):
        apart = abs(light - other_light - brighter) + abs(red - other_red) + abs(green - other_green)
        if apart < 1:
            total += weight * (1 - apart)
    return total


def _cropped(image: Image.Image, share: float) -> Image.Image:
    if share == 0:
        return image
    across, down = image.width * share, image.height * share
    return image.crop((round(across), round(down), round(image.width - across), round(image.height - down)))


def _grid(image: Image.Image) -> tuple[Cell, ...]:
    # The blur keeps a shift by a few pixels from mattering much.
    small = image.resize((_ACROSS, _DOWN), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.6))
    cells = small.tobytes()
    return tuple(_cell(*cells[start : start + 3]) for start in range(0, len(cells), 3))


def _cell(red: int, green: int, blue: int) -> Cell:
    # More or less light moves the logarithm of lightness everywhere by the same step, and leaves the shares of red
    # and of green as they are. The constant keeps almost black places, whose shares mean little, near the middle.
    total = red + green + blue + 12
    return (math.log(total) * _LIGHT_WEIGHT, red / total * _SHARE_WEIGHT, green / total * _SHARE_WEIGHT)


def _weights() -> Iterator[float]:
    for row in range(_DOWN):
        for column in range(_ACROSS):
            x, y = (column + 0.5) / _ACROSS * 2 - 1, (row + 0.5) / _DOWN * 2 - 1
            yield 1.0 if x * x + y * y < 0.75 else _EDGE_WEIGHT


_TOTAL: Final = sum(_weights())
_WEIGHTS: Final = tuple(weight / _TOTAL for weight in _weights())
