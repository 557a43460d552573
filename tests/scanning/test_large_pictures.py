"""Large pictures are hashed and reduced in strips, to the same numbers; of huge ones the data is checked, and it is said."""

from __future__ import annotations

import io
import random
import struct
import zlib

import numpy as np
import pytest
from images import DEEP, alarms, damage, encoded, kinds, seen
from PIL import Image

from dltool.scanning.formats import bmp, gif, pillow, pillow_pixels, png, png_rows, pnm


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("size", [(301, 500), (90, 4001), (4001, 90)])
def test_strips_give_what_the_whole_gives(monkeypatch, mode, size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    noise[: size[1] // 2] //= 3
    picture = Image.fromarray(noise).convert(mode)
    whole = pillow_pixels.look_at(picture), pillow_pixels.content_of(picture)
    monkeypatch.setattr(pillow_pixels, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(pillow_pixels, "STRIP_PIXELS", 5000)
    assert (pillow_pixels.look_at(picture), pillow_pixels.content_of(picture)) == whole


def test_a_fine_pattern_in_a_large_picture_is_not_flat(monkeypatch):
    monkeypatch.setattr(pillow_pixels, "WHOLE_PIXELS", 1000)
    checks = Image.fromarray((np.indices((224, 224)).sum(axis=0) % 2 * 255).astype(np.uint8))
    seen, _ = pillow_pixels.look_at(checks)
    assert seen is not None
    assert seen.span == 1


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "P"])
def test_flat_pictures_and_fine_patterns_are_summed_up_by_strips_as_whole(monkeypatch, mode):
    checks = (np.indices((230, 224)).sum(axis=0) % 2)[..., None] * np.array([90, 7, 0])
    for values in (checks, np.full((230, 224, 3), (9, 250, 3))):
        picture = Image.fromarray(values.astype(np.uint8)).convert(mode)
        whole, _ = pillow_pixels.look_at(picture)
        monkeypatch.setattr(pillow_pixels, "WHOLE_PIXELS", 1000)
        monkeypatch.setattr(pillow_pixels, "STRIP_PIXELS", 5000)
        parts, _ = pillow_pixels.look_at(picture)
        monkeypatch.undo()
        assert parts == pytest.approx(whole._replace(similarity=parts.similarity), abs=1e-7)


PICTURE = damage.picture(3, 96)


@pytest.fixture
def _huge_from_here(monkeypatch):
    for module in (pillow, png, pnm):
        monkeypatch.setattr(module, "DECODED_PIXELS", 5000)
    monkeypatch.setattr(png_rows, "PIECE_BYTES", 700)


@pytest.mark.usefixtures("_huge_from_here")
@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "webp", "ppm", "qoi"])
def test_a_huge_picture_is_checked_without_its_pixels(suffix):
    data = encoded(PICTURE, {"tif": "TIFF", "ppm": "PPM"}.get(suffix, suffix.upper()))
    found = seen(data, f"a.{suffix}")
    assert kinds(found) == ["partly-checked"]
    assert alarms(found) == []
    assert (found.image.width, found.image.mean, found.content) == (96, None, None)
    assert kinds(seen(data, f"a.{suffix}", DEEP)) == []


@pytest.mark.usefixtures("_huge_from_here")
@pytest.mark.parametrize(
    "kind", [kind for kind in damage.KINDS if kind.source.startswith("png") and kind.revealed], ids=lambda kind: kind.name
)
def test_damage_to_a_huge_png_is_found_by_its_data(kind):
    data = kind.spoil(damage.encoded(damage.picture(3), kind.source), random.Random(0))
    assert alarms(seen(data, f"a.{kind.suffix or 'png'}"))


@pytest.mark.parametrize("interlaced", [False, True])
def test_rows_are_checked_in_pieces_as_in_one(monkeypatch, interlaced):
    strides = png_rows._strides(37, 29, 24, interlaced=interlaced)
    rows = b"".join(bytes((4,)) + b"\xff" * (length - 1) for count, length in strides for _ in range(count))
    for piece_bytes in (1, 13, 112, 5000):
        monkeypatch.setattr(png_rows, "PIECE_BYTES", piece_bytes)
        for at, wrong in ((None, b""), (0, b"\x05"), (len(rows) - strides[-1][1], b"\x05")):
            raw = rows if at is None else rows[:at] + wrong + rows[at + 1 :]
            stream = zlib.compress(raw)
            pieces = (memoryview(stream)[start : start + 7] for start in range(0, len(stream), 7))
            flaw = png_rows.checked(pieces, 37, 29, 24, interlaced=interlaced)
            assert flaw == png_rows.inflate(stream, 37, 29, 24, interlaced=interlaced).flaw
            assert (flaw is None) == (at is None)


def test_what_was_left_out_is_said(monkeypatch):
    monkeypatch.setattr(pillow, "FRAME_BUDGET_PIXELS", 96 * 96 * 2)
    monkeypatch.setattr(gif, "MAX_WALKED_BYTES", 100)
    stream = io.BytesIO()
    frames = [damage.picture(number, 96).convert("P") for number in range(5)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    details = [flaw.detail for flaw in seen(stream.getvalue(), "a.gif").flaws]
    assert ["5 frames were not followed" in details[0], "of 5 frames the first 3" in details[1]] == [True, True]
    assert kinds(seen(stream.getvalue(), "a.gif", DEEP)) == []


def test_runs_of_a_large_bmp_are_not_followed(monkeypatch):
    monkeypatch.setattr(bmp, "MAX_WALKED_BYTES", 10)
    data = (
        struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 66, 0, 0, 62, 40, 2, 2, 1, 8, 1, 4, 0, 0, 2, 0)
        + bytes(8)
        + b"\2\1\0\0\2\1\0\1"
    )
    assert kinds(seen(data, "a.bmp")) == ["partly-checked"]
