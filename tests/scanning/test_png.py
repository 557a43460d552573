"""PNG: every mode and depth passes, every chunk and row is checked, with isal and with zlib."""

from __future__ import annotations

import io
import random
import struct
import zlib

import numpy as np
import pytest
from images import DEEP, NORMAL, QUICK, alarms, damage, encoded, kinds, seen
from PIL import Image

from dltool.scanning.formats import png_rows
from dltool.scanning.formats.png_rows import PASSES
from dltool.scanning.settings import InspectSettings

PICTURE = damage.picture(2, 50)
PLAIN = encoded(PICTURE, "PNG")
DEPTHS = [
    (1, 0),
    (2, 0),
    (4, 0),
    (8, 0),
    (16, 0),
    (8, 2),
    (16, 2),
    (1, 3),
    (2, 3),
    (4, 3),
    (8, 3),
    (8, 4),
    (16, 4),
    (8, 6),
    (16, 6),
]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@pytest.fixture(params=["isal", "zlib"])
def engine(request, monkeypatch):
    if request.param == "zlib":
        monkeypatch.setattr(png_rows, "engine", zlib)


def made(width, height, depth, colour, *, interlace=0, seed=0):
    """A PNG of random samples, unfiltered, written out by hand."""
    rng = np.random.default_rng(seed)
    passes = PASSES if interlace else ((0, 0, 1, 1),)
    rows = b""
    for x, y, across, down in passes:
        columns, lines = -(-(width - x) // across), -(-(height - y) // down)
        for _ in range(lines if columns > 0 else 0):
            rows += b"\0" + rng.bytes((columns * depth * CHANNELS[colour] + 7) // 8)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    palette = [(b"PLTE", rng.bytes(3 << depth))] if colour == 3 else []
    return damage.png_of([(b"IHDR", header), *palette, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize(("depth", "colour"), DEPTHS)
@pytest.mark.usefixtures("engine")
def test_every_depth_and_colour_type_passes(depth, colour, interlace):
    for width, height in ((13, 9), (1, 1), (3, 2)):
        data = made(width, height, depth, colour, interlace=interlace)
        for settings in (QUICK, NORMAL, DEEP):
            found = seen(data, "a.png", settings)
            assert kinds(found) == []
            assert (found.image.width, found.image.height) == (width, height)
        assert found.image.mean is not None


def test_rows_unpacked_here_are_pillows_pixels():
    for data in (
        PLAIN,
        encoded(PICTURE.convert("L"), "PNG"),
        encoded(PICTURE.convert("RGBA"), "PNG"),
        made(31, 17, 8, 2, interlace=1),
    ):
        with_tiff = encoded(Image.open(io.BytesIO(data)), "TIFF")
        assert seen(data, "a.png").content == seen(with_tiff, "a.tif").content


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("name", "kind"),
    [("png-half", "truncated"), ("png-without-end", "missing-end"), ("png-one-bit-flipped", "checksum"),
     ("png-header-checksum", "checksum"), ("png-without-picture", "no-data"), ("png-without-palette", "no-palette"),
     ("png-short-stream", "truncated"), ("png-more-rows-declared", "truncated"), ("png-bad-filter", "damaged-data"),
     ("png-trailing-garbage", "trailing-garbage"), ("png-second-half-zero", "zeroed-tail"),
     ("png-bomb", "decompression-bomb")],
)  # fmt: skip
def test_damage_is_named(name, kind):
    spoilt = next(each for each in damage.KINDS if each.name == name)
    data = spoilt.spoil(damage.encoded(damage.picture(3), spoilt.source), random.Random(1))
    assert kind in kinds(seen(data, "a.png"))


@pytest.mark.usefixtures("engine")
def test_damage_behind_the_last_row_is_seen():
    parts = list(damage.chunks(PLAIN))
    rows = zlib.decompress(b"".join(payload for name, payload in parts if name == b"IDAT"))
    stored = b"\x78\x01\0" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows + b"\x07\xff\xff\xff\xff"
    found = seen(damage.png_of([parts[0], (b"IDAT", stored), (b"IEND", b"")]), "a.png")
    assert [(flaw.kind, flaw.severity) for flaw in found.flaws] == [("damaged-data", "error")]


def test_padding_and_damaged_exif_are_no_alarms():
    assert alarms(seen(PLAIN + b"\0\0\n"[:1], "a.png")) == []
    parts = list(damage.chunks(PLAIN))
    assert kinds(seen(damage.png_of([parts[0], (b"eXIf", b"nonsense"), *parts[1:]]), "a.png")) == ["exif"]


def test_colours_that_the_palette_does_not_have():
    data = made(20, 20, 8, 3)
    parts = [(name, payload[:30] if name == b"PLTE" else payload) for name, payload in damage.chunks(data)]
    found = seen(damage.png_of(parts), "a.png")
    assert [(flaw.kind, flaw.severity) for flaw in found.flaws] == [("palette", "warning")]


def test_frames_of_an_animation_are_decoded():
    frames = [PICTURE.rotate(10 * turn) for turn in range(4)]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert seen(data, "a.png").image.frames == 4
    parts = list(damage.chunks(data))
    last = max(i for i, part in enumerate(parts) if part[0] == b"fdAT")
    assert kinds(seen(damage.png_of(parts[:last] + parts[last + 1 :]), "a.png")) == ["damaged-frame"]


def test_sixteen_bits_are_scaled_to_one():
    values = (np.linspace(0, 65535, 64 * 64).reshape(64, 64)).astype(np.uint16)
    image = seen(encoded(Image.fromarray(values), "PNG"), "a.png").image
    assert image.mode == "I;16"
    assert image.mean == pytest.approx(0.5, abs=0.01)


def test_a_bomb_in_the_stream_is_never_unpacked():
    header = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    stream = zlib.compress(bytes(50_000_000))
    found = seen(damage.png_of([(b"IHDR", header), (b"IDAT", stream), (b"IEND", b"")]), "a.png")
    assert kinds(found) == ["excess-data"]


def test_the_limit_of_pixels_holds_at_every_tier():
    for settings in (QUICK, NORMAL, DEEP):
        assert kinds(seen(PLAIN, "a.png", InspectSettings(tier=settings.tier, max_pixels=100))) == ["decompression-bomb"]
