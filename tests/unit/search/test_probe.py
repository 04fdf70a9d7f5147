"""A probe is drawn as it looks, and as small as an order can carry it; else it is refused before the search is accepted."""

import io
import os
from typing import Any

import pytest
from PIL import Image

from broker.kernel.errors import Invalid
from broker.partners.contract import MAX_PROBE_BYTES, ProbeImage
from broker.search import probe
from broker.search.probe import MAX_BYTES, draw_anew

_SIDE = 64


def ramp(mode: str) -> Image.Image:
    """From black on the left to white on the right."""
    grey = Image.frombytes(
        "L", (_SIDE, _SIDE), bytes(x * 255 // (_SIDE - 1) for _ in range(_SIDE) for x in range(_SIDE))
    )
    if mode != "I;16":
        return grey.convert(mode)
    return Image.frombytes("I;16", grey.size, b"".join((one * 257).to_bytes(2, "little") for one in grey.tobytes()))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def greys(jpeg: bytes) -> list[int]:
    """The middle line of a picture."""
    with Image.open(io.BytesIO(jpeg)) as image:
        line = image.convert("L").crop((0, _SIDE // 2, _SIDE, _SIDE // 2 + 1))
    return list(line.tobytes())


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_each_kind_of_pixel_is_drawn_as_it_looks(mode: str) -> None:
    drawn = greys(draw_anew(png(ramp(mode))).jpeg)
    assert all(abs(one - x * 255 // (_SIDE - 1)) <= 6 for x, one in enumerate(drawn)), drawn


def test_traitor_that_cuts_sixteen_bits_off_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_DEEP", "none")
    with pytest.raises(AssertionError):
        test_each_kind_of_pixel_is_drawn_as_it_looks("I;16")


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_kind_of_pixel_that_is_not_known_is_refused(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any, **__: Any) -> Image.Image:
        return Image.new(mode, (_SIDE, _SIDE))

    monkeypatch.setattr(Image, "open", opened)
    with pytest.raises(Invalid, match="kind of pixel") as caught:
        draw_anew(b"any")
    assert caught.value.pointer == "/probe"


def test_what_no_order_could_carry_is_refused_at_once() -> None:
    noise = png(Image.frombytes("1", (4800, 4800), os.urandom(4800 * 4800 // 8)))
    assert len(noise) < MAX_BYTES
    with pytest.raises(Invalid, match=str(MAX_PROBE_BYTES)) as caught:
        draw_anew(noise)
    assert caught.value.pointer == "/probe"


def test_what_is_taken_fits_an_order() -> None:
    noise = png(Image.frombytes("1", (2400, 2400), os.urandom(2400 * 2400 // 8)))
    assert ProbeImage.of(draw_anew(noise).jpeg)
