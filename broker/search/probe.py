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
from broker.partners.contract import MAX_PROBE_BYTES

MAX_BYTES: Final = 10_000_000
MAX_PIXELS: Final = 40_000_000
MAX_SIDE: Final = 12_000
MIN_SIDE: Final = 32
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_QUALITY: Final = 95
_DEEP: Final = "I;16"
"""Grey in 16 bits, of which a JPEG takes 8."""
_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", _DEEP})
"""Kinds of pixel that are known to be drawn as they look. Another one may be cut off to plain white, which no partner
would tell from a face that it does not know.
"""


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
                _check_form(image)
                jpeg, width, height = _redraw(image)
    except Invalid:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Invalid(f"the probe has more than {MAX_PIXELS} pixels", "/probe") from None
    except Exception:  # noqa: BLE001 - decoders raise anything on hostile bytes, and none of it is for the caller
        raise Invalid("the probe is not a readable JPEG, PNG or WebP image", "/probe") from None
    if len(jpeg) > MAX_PROBE_BYTES:
        raise Invalid(
            f"drawn anew as a JPEG the probe has more than {MAX_PROBE_BYTES} bytes; send it smaller", "/probe"
        )
    return DrawnProbe(
        jpeg=jpeg,
        submitted_sha256=hashlib.sha256(submitted).hexdigest(),
        sent_sha256=hashlib.sha256(jpeg).hexdigest(),
        width=width,
        height=height,
    )


def _check_form(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise Invalid(f"the probe has more than {MAX_PIXELS} pixels or a side over {MAX_SIDE}", "/probe")
    if min(width, height) < MIN_SIDE:
        raise Invalid(f"the probe is smaller than {MIN_SIDE} pixels on a side", "/probe")
    if getattr(image, "n_frames", 1) != 1:
        raise Invalid("the probe holds more than one picture; send a single still", "/probe")
    if image.mode not in _MODES:
        raise Invalid("the probe's kind of pixel is not taken; send 8 bits for each colour", "/probe")


def _redraw(image: Image.Image) -> tuple[bytes, int, int]:
    upright = ImageOps.exif_transpose(image)
    if upright.mode == _DEEP:
        # Converted as it is, all but the darkest 256 greys would become white.
        flat = upright.point(lambda grey: grey * (1 / 257)).convert("L").convert("RGB")
    elif upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        layered = upright.convert("RGBA")
        flat = Image.new("RGB", layered.size, "white")
        flat.paste(layered, mask=layered.getchannel("A"))
    else:
        flat = upright.convert("RGB")
    clean = Image.frombytes("RGB", flat.size, flat.tobytes())
    out = io.BytesIO()
    clean.save(out, format="JPEG", quality=_QUALITY)
    return out.getvalue(), clean.width, clean.height
