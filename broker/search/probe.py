"""A probe as it comes in, and as it may go out: type by content, bounded, and drawn anew.

What leaves is a JPEG made of the pixels alone: no EXIF, no comment, no profile, no thumbnail, no trailing bytes.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageOps

from broker.kernel.errors import Invalid

MAX_BYTES: Final = 10_000_000
MAX_PIXELS: Final = 40_000_000
MAX_SIDE: Final = 12_000
MIN_SIDE: Final = 32
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_QUALITY: Final = 95


@dataclass(frozen=True, slots=True)
class DrawnProbe:
    """The probe drawn anew, with the hash of what was handed in and of what is sent."""

    jpeg: bytes
    submitted_sha256: str
    sent_sha256: str
    width: int
    height: int


def draw_anew(submitted: bytes) -> DrawnProbe:
    """The pixels of *submitted* as a clean JPEG. Raises Invalid with what to change.

    The size in pixels is read from the header and checked before any pixel is unpacked, so a small file that claims
    to be a huge image costs nothing.
    """
    if not submitted:
        raise Invalid("the part `probe` is empty", "/probe")
    if len(submitted) > MAX_BYTES:
        raise Invalid(f"the probe is larger than {MAX_BYTES} bytes", "/probe")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(submitted), formats=_FORMATS) as image:
                _check_size(image)
                jpeg, width, height = _redraw(image)
    except Invalid:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Invalid(f"the probe has more than {MAX_PIXELS} pixels", "/probe") from None
    except Exception:  # noqa: BLE001 - decoders raise anything on hostile bytes, and none of it is for the caller
        raise Invalid("the probe is not a readable JPEG, PNG or WebP image", "/probe") from None
    return DrawnProbe(
        jpeg=jpeg,
        submitted_sha256=hashlib.sha256(submitted).hexdigest(),
        sent_sha256=hashlib.sha256(jpeg).hexdigest(),
        width=width,
        height=height,
    )


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise Invalid(f"the probe has more than {MAX_PIXELS} pixels or a side over {MAX_SIDE}", "/probe")
    if min(width, height) < MIN_SIDE:
        raise Invalid(f"the probe is smaller than {MIN_SIDE} pixels on a side", "/probe")
    if getattr(image, "n_frames", 1) != 1:
        raise Invalid("the probe holds more than one picture; send a single still", "/probe")


def _redraw(image: Image.Image) -> tuple[bytes, int, int]:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        layered = upright.convert("RGBA")
        flat = Image.new("RGB", layered.size, "white")
        flat.paste(layered, mask=layered.getchannel("A"))
    else:
        flat = upright.convert("RGB")
    clean = Image.frombytes("RGB", flat.size, flat.tobytes())
    out = io.BytesIO()
    clean.save(out, format="JPEG", quality=_QUALITY)
    return out.getvalue(), clean.width, clean.height
