"""Probe images to try the broker with, drawn here: real JPEG files, with the metadata that a camera would leave.

They are other pictures of the gallery's people than the gallery holds: another size, more or less light, trimmed or
pressed harder. The metadata is there to be stripped.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PIL import Image, ImageEnhance
from PIL.ExifTags import GPS, IFD, Base

from adapters.faces.drawing import draw
from adapters.faces.features import face_of
from adapters.faces.people import SHARED_FAMILIES, STRANGERS, Person

COMMENT: Final = b"A drawn face, no person. This comment must not reach a partner."
CAMERA: Final = "Invented Camera Works"

_TAKES: Final[tuple[Callable[[Image.Image], Image.Image], ...]] = (
    lambda image: image.resize((480, 600), Image.Resampling.LANCZOS),
    lambda image: ImageEnhance.Brightness(image).enhance(0.9),
    lambda image: image.crop((6, 8, 234, 292)),
    lambda image: image.resize((360, 450), Image.Resampling.BICUBIC),
    lambda image: ImageEnhance.Brightness(image).enhance(1.06),
)
_QUALITY: Final = (90, 75, 85, 60, 80)


def hit_probe(index: int) -> bytes:
    """A JPEG of somebody who is in every stand-in's gallery; *index* counts from 0 and starts again when it runs out."""
    turn = index % len(SHARED_FAMILIES)
    return _jpeg(_TAKES[turn](draw(Person(SHARED_FAMILIES[turn], 0).face)), _QUALITY[turn])


def stranger_probe(index: int) -> bytes:
    """A JPEG of somebody who is in no gallery."""
    turn = index % len(STRANGERS)
    return _jpeg(_TAKES[turn](draw(face_of(STRANGERS[turn]))), _QUALITY[turn])


def write_samples(folder: Path) -> None:
    """Write ``hit-*.jpg`` and ``stranger-*.jpg`` into *folder*, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(len(SHARED_FAMILIES)):
        (folder / f"hit-{index + 1}.jpg").write_bytes(hit_probe(index))
    for index in range(len(STRANGERS)):
        (folder / f"stranger-{index + 1}.jpg").write_bytes(stranger_probe(index))


def _jpeg(image: Image.Image, quality: int) -> bytes:
    exif = Image.Exif()
    exif[Base.Make] = CAMERA
    exif[Base.Software] = "drawn by a program"
    exif[Base.DateTime] = "2020:02:20 20:20:20"
    exif.get_ifd(IFD.GPSInfo).update({GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (0.0, 0.0, 1.0)})
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, exif=exif, comment=COMMENT)
    return file.getvalue()
