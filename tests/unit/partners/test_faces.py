"""Drawn faces: the same person is found in another picture of them, another person is not."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from adapters.faces import write_samples
from adapters.faces.comparing import NotAPicture, likeness, open_picture, score
from adapters.faces.drawing import SIZE, draw
from adapters.faces.features import face_of
from adapters.faces.people import SHARED_FAMILIES, STRANGERS, THRESHOLD, Person, gallery
from adapters.faces.samples import COMMENT, hit_probe, stranger_probe

CBP = gallery("R", tuple(range(101, 111)))
DOS = gallery("V", tuple(range(201, 211)))
SHARED = [likeness(draw(Person(family, 0).face)) for family in SHARED_FAMILIES]


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return open_picture(file.getvalue())


TAKES = {
    "as it is": lambda image: image,
    "pressed hard": lambda image: jpeg(image, 30),
    "pressed twice": lambda image: jpeg(jpeg(image, 50), 70),
    "twice the size": lambda image: image.resize((480, 600)),
    "a thumbnail": lambda image: image.resize((96, 120)),
    "lighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
    "trimmed": lambda image: image.crop((10, 12, SIZE[0] - 10, SIZE[1] - 12)),
}


@pytest.mark.parametrize("take", TAKES)
def test_another_picture_of_the_same_person_is_found_among_the_first(take):
    for number, family in enumerate(SHARED_FAMILIES):
        matches = CBP.search(TAKES[take](draw(Person(family, 0).face)), most=2)
        # The gallery begins with the shared families, four people each. A look-alike may come first, as in life.
        assert CBP.records[4 * number] in [match.record for match in matches]


def test_two_galleries_hold_sixty_people_each_and_share_twenty_under_other_names():
    assert len(CBP.records) == len(DOS.records) == 60
    assert len({record.reference for record in CBP.records}) == 60
    assert not {record.reference for record in CBP.records} & {record.reference for record in DOS.records}
    shared = {id(record.likeness) for record in CBP.records} & {id(record.likeness) for record in DOS.records}
    assert len(shared) == 20


def test_every_sample_hit_has_several_candidates_in_falling_order_in_both_galleries():
    for index in range(len(SHARED_FAMILIES)):
        for held in (CBP, DOS):
            scores = [match.score for match in held.search(open_picture(hit_probe(index)), most=20)]
            assert len(scores) >= 3
            assert scores == sorted(scores, reverse=True)
            assert len(set(scores)) == len(scores)
            assert scores[0] > 0.95


def test_no_sample_stranger_comes_near_anybody():
    for index in range(len(STRANGERS)):
        for held in (CBP, DOS):
            assert held.search(open_picture(stranger_probe(index)), most=20, threshold=THRESHOLD - 0.2) == ()


@given(st.integers(2_000, 10**9))
@settings(max_examples=60, deadline=None)
def test_a_face_from_any_other_number_is_like_none_of_the_shared_people(number):
    stranger = likeness(draw(face_of(number)))
    # By chance two strangers may look alike, as in life; that this one is taken for the *same* picture may not be.
    assert all(score(stranger, person) < 0.95 for person in SHARED)


def test_false_hits_are_rare():
    hits = sum(bool(CBP.search(draw(face_of(number)), most=1)) for number in range(5_000, 5_100))
    assert hits <= 3


def test_a_face_depends_on_its_number_only():
    assert face_of(7) == face_of(7) != face_of(8)
    assert draw(face_of(7)).tobytes() == draw(face_of(7)).tobytes()
    other = face_of(7, other=1, differing=("mouth",))
    assert all(getattr(other, name) == getattr(face_of(7), name) for name in other.__slots__ if name != "mouth")


def test_plain_and_empty_pictures_are_like_nobody():
    for colour in ("black", "white", "teal"):
        assert CBP.search(Image.new("RGB", SIZE, colour), most=20) == ()


def test_the_cap_is_kept():
    picture = open_picture(hit_probe(0))
    assert CBP.search(picture, most=2) == CBP.search(picture, most=20)[:2]


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff", hit_probe(0)[:2000], b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_said_to_be_none(content):
    with pytest.raises(NotAPicture):
        open_picture(content)


def test_a_bomb_is_no_picture():
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    with pytest.raises(NotAPicture):
        open_picture(file.getvalue())


def test_samples_are_real_jpegs_with_metadata_to_be_stripped(tmp_path):
    write_samples(tmp_path / "in a new folder")
    files = sorted((tmp_path / "in a new folder").iterdir())
    assert sum(file.name.startswith("hit-") for file in files) >= 3
    assert sum(file.name.startswith("stranger-") for file in files) >= 3
    assert len({file.read_bytes() for file in files}) == len(files)
    for file in files:
        with Image.open(file) as image:
            assert image.format == "JPEG"
            assert image.info["comment"] == COMMENT
            assert image.getexif()
            assert image.getexif().get_ifd(0x8825)
