"""A probe is an image by its content, of a bearable size, and what leaves is drawn anew and sealed at rest."""

import hashlib
import io
import json
import struct
import zlib
from typing import Any

import httpx
import pytest
from PIL import Image
from PIL.ExifTags import Base

from broker.search.probe import draw_anew
from tests.scenarios.world import HIT, World, answered, fresh, refused, small_jpeg


def image_of(kind: str, size: tuple[int, int] = (80, 80), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def bomb_png() -> bytes:
    """A few hundred bytes that claim to be 30,000 by 30,000 pixels."""
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bomb_jpeg() -> bytes:
    """A real JPEG whose frame header was changed to claim 30,000 by 30,000."""
    real = bytearray(small_jpeg())
    at = real.index(b"\xff\xc0")
    real[at + 5 : at + 9] = struct.pack(">HH", 30_000, 30_000)
    return bytes(real)


NO_IMAGES = {
    "empty": b"",
    "text": b"not an image",
    "html": b"<html><script>alert(1)</script></html>",
    "gif": animated("GIF"),
    "one gif": image_of("GIF"),
    "bmp": image_of("BMP"),
    "tiff": image_of("TIFF"),
    "pdf": b"%PDF-1.7\n1 0 obj\n",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>",
    "zip": b"PK\x03\x04" + b"\0" * 100,
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
    "jpeg header alone": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "truncated jpeg": HIT[: len(HIT) // 2],
    "truncated png": image_of("PNG")[:300],
    "animated webp": animated("WEBP"),
    "animated png": animated("PNG"),
    "bomb png": bomb_png(),
    "bomb jpeg": bomb_jpeg(),
    "too small": image_of("PNG", (31, 64)),
    "too long": image_of("PNG", (12_001, 32)),
    "text before a jpeg": b"GIF89a" + HIT,
}


@pytest.fixture(scope="module")
def case(world: World) -> str:
    return world.case()


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_bearable_image_is_a_clear_422(world: World, case: str, name: str) -> None:
    problem = refused(world.submit(world.terms(case), NO_IMAGES[name]), 422)
    assert problem["pointer"] == "/probe"
    assert "probe" in problem["detail"]


def test_a_probe_of_too_many_bytes_is_refused(world: World, case: str) -> None:
    assert world.submit(world.terms(case), HIT + b"\0" * 10_000_000).status_code in (413, 422)
    assert world.submit(world.terms(case), HIT + b"\0" * 11_000_000).status_code in (413, 422)


def without_file_name(world: World, case: str, *probes: bytes) -> httpx.Response:
    """A search whose parts are what RFC 7578 asks for and no more: names."""
    parts = [
        ("request", json.dumps(world.terms(case, partners=["cbp-atsp"])).encode()),
        *(("probe", p) for p in probes),
    ]
    body = b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), content)
        for name, content in parts
    )
    headers = {"Idempotency-Key": fresh(), "Content-Type": "multipart/form-data; boundary=edge"}
    return world.analyst.post("/v1/searches", content=body + b"--edge--\r\n", headers=headers)


def test_a_probe_needs_no_file_name_and_is_held_to_the_same_limits(world: World, case: str) -> None:
    search = answered(without_file_name(world, case, HIT), 202)["id"]
    done = answered(world.analyst.get(f"/v1/searches/{search}", params={"wait": 30}), 200)
    # Byte for byte: read as text it would be no picture any more.
    assert [leg["state"] for leg in done["legs"]] == ["answered"]
    for probe in (b"not an image", b"", HIT[: len(HIT) // 2], b"GIF89a" + HIT):
        assert refused(without_file_name(world, case, probe), 422)["pointer"] == "/probe"
    assert without_file_name(world, case, HIT + b"\0" * 10_000_000).status_code in (413, 422)
    for probes in ((), (HIT, HIT)):
        assert without_file_name(world, case, *probes).status_code == 422


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("PNG", {"compress_level": 0}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ],
    ids=str,
)
def test_jpeg_png_and_webp_are_taken_whatever_they_are_called(world: World, case: str, kind: str, options: Any) -> None:
    answered(world.submit(world.terms(case, partners=["cbp-atsp"]), image_of(kind, **options)), 202)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "I;16", "RGBA", "CMYK"])
def test_every_ordinary_kind_of_pixel_is_drawn_anew(world: World, case: str, mode: str) -> None:
    file = io.BytesIO()
    image = Image.new("RGB", (64, 64), (10, 200, 30))
    kind = "JPEG" if mode == "CMYK" else "PNG"
    (Image.new(mode, (64, 64)) if mode == "I;16" else image.convert(mode)).save(file, kind)
    answered(world.submit(world.terms(case, partners=["cbp-atsp"]), file.getvalue()), 202)


def journal(world: World, partner: str) -> dict[str, Any]:
    log: dict[str, Any] = httpx.get(f"{world.stack.partners[partner]}/standin/log", trust_env=False).json()
    return {one["transactionId"]: one for one in log["transactions"]}


def dirty_probe() -> bytes:
    """A picture with all that a camera and an editor leave in it, and something hidden behind its end."""
    exif = Image.Exif()
    exif[Base.Make] = "CANARY-EXIF"
    exif[Base.ImageDescription] = "CANARY-DESCRIPTION"
    icc = b"CANARY-ICC" * 20
    clean = Image.open(io.BytesIO(HIT))
    file = io.BytesIO()
    clean.save(file, "JPEG", exif=exif, comment=b"CANARY-COMMENT", icc_profile=icc, quality=90)
    return file.getvalue() + b"PK\x03\x04CANARY-POLYGLOT" + b"<script>CANARY</script>"


def test_nothing_but_pixels_reaches_a_partner(world: World, case: str) -> None:
    probe = dirty_probe()
    assert probe.count(b"CANARY") >= 5
    done = world.searched(world.terms(case), probe)
    assert done["status"] == "complete", done
    with world.stack.owner() as owner:
        legs = owner.execute(
            "SELECT partner, transaction_id FROM search_leg WHERE search_id = %s", [done["id"]]
        ).fetchall()
        row = owner.execute(
            "SELECT submitted_sha256, sent_sha256, ciphertext FROM probe WHERE search_id = %s", [done["id"]]
        ).fetchone()
    assert row is not None
    submitted, sent, ciphertext = row
    assert submitted == hashlib.sha256(probe).hexdigest()
    assert sent != submitted
    assert b"CANARY" not in bytes(ciphertext)
    for partner, transaction in legs:
        seen = journal(world, partner)[transaction]
        assert seen["metadata"] == []
        assert seen["probeSha256"] == sent
    entries = world.auditor.get("/v1/audit/entries", params={"subject": done["id"], "tag": "search:request:accepted"})
    assert entries.json()["items"][0]["detail"]["probe_sha256"] == submitted


# Long enough that it does not turn up by chance among the random bytes of what is sealed, as three or four bytes do.
_JPEG_BEGINS = b"\xff\xd8\xff\xe0\x00\x10JFIF"


def test_content_is_sealed_at_rest(world: World) -> None:
    """Every row of the database is read, as the owner of the schema: neither probes nor candidates are legible in it."""
    listed = answered(world.analyst.get(f"/v1/items/{world.material['dos-ccd']}"), 200)
    references = [one["reference"].encode() for one in listed["content"]["candidates"]]
    title = "A title nobody should find 5e1f"
    body = {"kind": "note", "title": title, "case_id": world.material["case"], "parts": [{"text": "sealed 77aa"}]}
    answered(world.analyst.post("/v1/items", json=body), 201)
    lead = world.dos_lead()
    world.granted("DOS", lead)
    answered(world.release(lead), 201)
    dump = dumped(world)
    assert len(dump) > 10_000
    for secret in (
        *references,
        title.encode(),
        b"sealed 77aa",
        b"See the lists.",
        _JPEG_BEGINS,
        b"\\x" + _JPEG_BEGINS.hex().encode(),
    ):
        assert secret not in dump, secret
    # The check can fail: a probe begins in that way, and what is stored openly is found.
    assert draw_anew(HIT).jpeg.startswith(_JPEG_BEGINS)
    assert world.material["case"].encode() in dump


def dumped(world: World) -> bytes:
    """Everything in every table, as text with bytes as hex and beside it the bytes themselves."""
    out = bytearray()
    with world.stack.owner() as owner:
        tables = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            with owner.cursor().copy(f'COPY "{table}" TO STDOUT') as rows:
                for block in rows:
                    out += block
            columns = owner.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND atttypid = 'bytea'::regtype",
                [table],
            ).fetchall()
            for (column,) in columns:
                for (value,) in owner.execute(f'SELECT "{column}" FROM "{table}"').fetchall():
                    out += bytes(value or b"")
    return bytes(out)
