"""Statistics and the perceptual hash, beside slow and obvious computations."""

from __future__ import annotations

import io

import numpy as np
import pytest
from images import damage, encoded, seen
from PIL import Image

from dltool.scanning.picture import look


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


@pytest.mark.parametrize("shape", [(9, 13), (9, 13, 1), (9, 13, 3), (30, 8, 3)])
def test_statistics_are_numpys(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = look(pixels)
    scaled = pixels / 255
    channels = scaled.reshape(-1, shape[2] if len(shape) == 3 else 1)
    assert found[:4] == pytest.approx((scaled.mean(), scaled.std(), scaled.min(), scaled.max()))
    assert found.span == pytest.approx(np.ptp(channels, axis=0).max())


def test_the_hash_is_the_signs_of_a_cosine_transform():
    gray = np.random.default_rng(1).normal(size=(12, 15))
    pitches = sorted(((u, v) for u in range(11) for v in range(11) if u + v), key=lambda f: (f[0] ** 2 + f[1] ** 2, f))[:64]
    y, x = np.mgrid[:12, :15]
    bits = 0
    for u, v in pitches:
        wave = np.cos(np.pi * u * (y + 0.5) / 12) * np.cos(np.pi * v * (x + 0.5) / 15)
        bits = bits << 1 | int((gray * wave).sum() > 0)
    assert look(100 * gray).similarity == bits


def test_flat_and_tiny_pictures_have_no_hash():
    assert look(np.full((20, 20, 3), 77, np.uint8)).similarity is None
    assert look(np.random.default_rng(0).integers(0, 256, (7, 20, 3)).astype(np.uint8)).similarity is None


@pytest.fixture(scope="module")
def pictures():
    return [damage.picture(seed) for seed in range(24)]


def hashes(data, name="a.jpg"):
    return seen(data, name).image.similarity


@pytest.mark.parametrize("change", ["quality", "half", "larger", "webp", "gray"])
def test_the_hash_survives_what_leaves_a_picture_the_same(pictures, change):
    for picture in pictures:
        original = hashes(encoded(picture, "PNG"), "a.png")
        changed = {
            "quality": lambda p: hashes(encoded(p, "JPEG", quality=40)),
            "half": lambda p: hashes(encoded(p.resize((112, 112), Image.Resampling.LANCZOS), "JPEG", quality=90)),
            "larger": lambda p: hashes(encoded(p.resize((400, 400), Image.Resampling.BICUBIC), "PNG"), "a.png"),
            "webp": lambda p: hashes(encoded(p, "WEBP", quality=60), "a.webp"),
            "gray": lambda p: hashes(encoded(p.convert("L"), "JPEG")),
        }[change](picture)
        assert distance(original, changed) <= 6


def test_hashes_of_different_pictures_are_far_apart(pictures):
    found = [hashes(encoded(picture, "JPEG")) for picture in pictures]
    assert min(distance(a, b) for i, a in enumerate(found) for b in found[:i]) >= 12


def test_content_is_the_same_in_other_lossless_wrapping(pictures):
    picture = pictures[0]
    target = io.BytesIO()
    picture.save(target, "TIFF", compression="tiff_lzw")
    found = {
        seen(encoded(picture, "PNG"), "a.png").content,
        seen(encoded(picture, "PNG", compress_level=1), "a.png").content,
        seen(encoded(picture, "BMP"), "a.bmp").content,
        seen(encoded(picture, "WEBP", lossless=True), "a.webp").content,
        seen(target.getvalue(), "a.tif").content,
    }
    assert len(found) == 1
    changed = picture.copy()
    changed.putpixel((5, 5), tuple(255 - value for value in changed.getpixel((5, 5))))
    assert seen(encoded(changed, "PNG"), "a.png").content not in found


def test_fine_patterns_are_not_taken_for_constant():
    checker = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    for data, name in (
        (encoded(checker, "PNG"), "a.png"),
        (encoded(checker, "JPEG", quality=95), "a.jpg"),
        (encoded(checker, "BMP"), "a.bmp"),
    ):
        image = seen(data, name).image
        assert image.maximum - image.minimum > 0.5
    flat = seen(encoded(Image.new("RGB", (64, 64), (9, 9, 9)), "JPEG"), "a.jpg").image
    assert flat.minimum == flat.maximum == pytest.approx(9 / 255, abs=0.005)
    red = seen(encoded(Image.new("RGB", (64, 64), (255, 0, 0)), "PNG"), "a.png").image
    assert (red.minimum, red.maximum, red.span) == (0, 1, 0)
